"""Plans of what takes the place of a task: whose ids they have, what goes along, and what cannot be one.

With workers: tests/tasks/test_replacing.py.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest

from hotqueue.errors import ConfigError
from hotqueue.tasks import chain, group
from hotqueue.tasks.client.client import client_of
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.context import Request, envelope_of, request_var
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.wire import envelope, plan
from hotqueue.tasks.workflow.replacing import replaced_by
from tests.tasks.workflow.tasks import add, queue, same, square


def request_of(task: Any = square, **options: Any) -> Request:
    """Return the request of a task."""
    found = definition_of(task).encode("task", (2,), {}, definition_of(task).options, queue.name, options or None)
    return Request(envelope.decode(found), History(), queue.name, "w")


def planned(signature: Any, **options: Any) -> tuple[list[plan.Step], bytes]:
    request = request_of(**options)

    def made() -> bytes | None:
        request_var.set(request)
        return replaced_by(client_of(queue), "square", request, signature)[0]

    packed = copy_context().run(made)
    assert packed is not None
    return plan.unpacked(packed, queue.name)


def test_the_last_step_has_the_id_of_the_task() -> None:
    steps, words = planned(chain(add.s(1), square.s(), square.s()))
    assert [step.id for step in steps][-1] == "task"
    assert [list(step.needs) for step in steps] == [[], [steps[0].id], [steps[1].id]]
    assert words
    steps, words = planned(add.s(1))
    assert ([step.id for step in steps], words) == (["task"], b"")


@pytest.mark.parametrize("signature", [group(add.s(1), add.s(2)), chain(add.s(1), square.s().set(task_id="mine"))])
def test_what_ends_otherwise_is_collected_under_that_id(signature: Any) -> None:
    steps, _ = planned(signature)
    assert (steps[-1].id, envelope.decode(steps[-1].envelope).task) == ("task", "hotqueue.collect")
    assert set(steps[-1].needs) <= {step.id for step in steps[:-1]}


def test_what_has_no_step_is_a_value() -> None:
    assert replaced_by(client_of(queue), "square", request_of(), group([])) == (None, [])
    assert replaced_by(client_of(queue), "square", request_of(), chain()) == (None, None)


def test_headers_go_along_and_replacements_are_counted() -> None:
    steps, _ = planned(add.s(1) | add.s(2), headers={"tenant": 7}, flow={"replaced": 4, "root": "first"})
    for step in steps:
        found = envelope.decode(step.envelope)
        assert (found.headers, found.flow["replaced"], found.flow["root"]) == ({"tenant": 7}, 5, "first")
    with pytest.raises(RecursionError, match=r"task task \(square\) was replaced 1,000 times"):
        planned(add.s(1), flow={"replaced": 1000})


def test_a_unique_key_stays_with_the_id() -> None:
    only = queue.task(same.__wrapped__, name="only", unique=True)
    steps, _ = planned(add.s(1) | add.s(2).set(max_concurrency=2), task=only)
    first, last = (envelope.decode(step.envelope) for step in steps)
    assert (first.unique, last.unique) == (b"", envelope_of(request_of(only)).unique)
    assert last.gates
    again, _ = planned(only.s(3), task=only)
    assert envelope.decode(again[0].envelope).unique == last.unique
    own, last = (envelope.decode(step.envelope).unique for step in planned(only.s(3) | add.s(1), task=only)[0])
    assert own != last == envelope_of(request_of(only)).unique


def test_steps_of_other_queues_stay_there_but_for_the_last() -> None:
    steps, _ = planned(add.s(1) | add.s(2).set(queue="else where"))
    assert [step.queue for step in steps] == [queue.name, "else where", queue.name]
    assert [envelope.decode(step.envelope).task for step in steps][1:] == ["add", "hotqueue.collect"]
    assert len({step.id for step in steps}) == 3
    assert steps[-1].id == "task"


def test_too_many_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 1,000"):
        planned(group(add.s(n) for n in range(1001)))
