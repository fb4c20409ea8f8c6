"""The calls of steps: what of them is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue
from hotqueue.tasks import Signature, chain, group
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.workflow.encoding import LATER
from hotqueue.tasks.workflow.plan import Planning, compiled
from hotqueue.tasks.workflow.signature import form_of
from tests.tasks.workflow.tasks import queue, square, total


def compiled_of(signature: Signature[Any]) -> Planning:
    return compiled(form_of(signature), (), {})[0]


def test_a_key_that_is_made_of_a_value_to_come_is_refused() -> None:
    here = HotQueue("keys", host="127.0.0.1", port=1)

    @here.task(max_concurrency=2, concurrency_key="tenant-{tenant}")
    def work(tenant: int, n: int = 0) -> int:
        return tenant

    with pytest.raises((TypeError, ValueError), match="which is the value of the step before"):
        compiled_of(chain(work.s(1), work.s(2)))
    compiled_of(chain(work.s(1), work.si(2)))
    assert repr(LATER) == "…"


def test_a_unique_step_says_its_key_which_is_not_made_of_what_comes_later() -> None:
    here = HotQueue("unique", host="127.0.0.1", port=1)

    @here.task(unique=True)
    def only(n: int) -> int:
        return n

    with pytest.raises(TypeError, match="which is the value of the step before"):
        compiled_of(chain(only.s(1), only.s()))
    assert envelope.decode(compiled_of(chain(only.s(1), only.si(2))).steps[1].envelope).unique.startswith(b"re ")
    compiled_of(chain(only.s(1), only.s()).set(unique=False))
    with here.testing():
        assert only.s(1).delay().get(timeout=30) == 1


def test_results_of_another_store_are_no_step_before() -> None:
    elsewhere = HotQueue("elsewhere", host="127.0.0.1", port=2)
    with pytest.raises(ConfigError, match="depends_on= takes results of the same store"):
        square.apply_async((1,), depends_on=[elsewhere.result("x")])


def test_which_other_queues_signed_what_a_step_takes() -> None:
    planning = compiled_of(chain(group(square.s(1), square.s(2).set(queue="a b")), total.s(), square.s().set(queue="c")))
    said = [envelope.decode(step.envelope).flow.get("from") for step in planning.steps]
    assert said == [None, None, ["a b"], [queue.name]]
