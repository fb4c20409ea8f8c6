"""The calls of steps: what of them is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue
from hotqueue.tasks import Signature, chain
from hotqueue.tasks.workflow.encoding import LATER
from hotqueue.tasks.workflow.plan import compiled
from hotqueue.tasks.workflow.signature import form_of
from tests.tasks.workflow.tasks import square


def compiled_of(signature: Signature[Any]) -> None:
    compiled(form_of(signature), (), {})


def test_a_key_that_is_made_of_a_value_to_come_is_refused() -> None:
    here = HotQueue("keys", host="127.0.0.1", port=1)

    @here.task(max_concurrency=2, concurrency_key="tenant-{tenant}")
    def work(tenant: int, n: int = 0) -> int:
        return tenant

    with pytest.raises((TypeError, ValueError), match="which is the value of the step before"):
        compiled_of(chain(work.s(1), work.s(2)))
    compiled_of(chain(work.s(1), work.si(2)))
    assert repr(LATER) == "…"


def test_a_unique_step_is_refused_but_for_one_alone() -> None:
    here = HotQueue("unique", host="127.0.0.1", port=1)

    @here.task(unique=True)
    def only(n: int) -> int:
        return n

    with pytest.raises(TypeError, match=r"only as a step of a workflow cannot be unique; say .set\(unique=False\)"):
        compiled_of(chain(only.s(1), only.si(2)))
    compiled_of(chain(only.s(1), only.si(2)).set(unique=False))
    with here.testing():
        assert only.s(1).delay().get(timeout=5) == 1


def test_results_of_another_queue_are_no_step_before() -> None:
    with square._definition.client.owner.testing():  # type: ignore[attr-defined]
        other = square.apply_async((1,), queue="other")
        with pytest.raises(ConfigError, match="depends_on= takes results of the same queue"):
            square.apply_async((1,), depends_on=[other])
