"""Workflows as they are: found by what is still there of them, each step in its state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.workflows import look, recent
from hotqueue.tasks import chain, chord, group
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def add(x: int, y: int = 0) -> int:
    return x + y


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


def test_each_step_is_in_its_state(make_queue: MakeQueue) -> None:
    queue = make_queue()
    plus, failing = queue.task(name="shop.add")(add), queue.task(name="shop.fail")(fail)
    result = chain(plus.s(1), failing.si(2), plus.si(3), plus.s(4)).delay()
    workflow_id = result.id.rpartition("-")[0]
    found = look(queue._store, queue.name, workflow_id)
    assert found is not None
    assert [step.state for step in found.steps] == ["waiting"] * 4
    assert recent(queue._store, queue.name) == [workflow_id]
    queue.run_worker(burst=True)
    found = look(queue._store, queue.name, result.id)  # by that of a step as well
    assert found is not None
    assert (found.id, found.queue, found.is_over) == (workflow_id, queue.name, True)
    assert [step.state for step in found.steps] == ["succeeded", "failed", "skipped", "skipped"]
    assert found.counts == {"succeeded": 1, "failed": 1, "skipped": 2}
    assert found.failed[0].task == "shop.fail"
    assert found.steps[0].ended is not None
    assert [len(needs) for needs in found.needs] == [0, 1, 1, 1]
    assert [box.layer for box in found.picture.boxes] == [0, 1, 2, 3]
    assert recent(queue._store, queue.name) == [workflow_id]
    assert look(queue._store, queue.name, "nobody") is None
    other = make_queue(f"{queue.name}-other")
    crossing = chain(plus.s(1), task_by_name(other, "shop.there").si(2)).delay()
    found = look(queue._store, queue.name, crossing.id)
    assert found is not None
    assert [step.state for step in found.steps] == ["waiting", "waiting"]  # the second has not gone there so far
    queue.purge()
    queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_many_alike_are_one_box(make_queue: MakeQueue) -> None:
    queue = make_queue()
    plus = queue.task(name="shop.add")(add)
    result = chord(group(plus.s(n) for n in range(1500)), plus.si(0)).delay()
    found = look(queue._store, queue.name, result.id)
    assert found is not None
    assert found.counts == {"waiting": 1501}
    assert [box.label for box in found.picture.boxes] == ["1,500 × shop.add", "shop.add"]
    queue.purge()
