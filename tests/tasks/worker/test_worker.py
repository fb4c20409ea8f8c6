"""One worker, in this process: what it cannot run is parked until another one can."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import State
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_an_unknown_task_is_parked_until_a_worker_knows_it(make_queue: MakeQueue) -> None:
    sender, ignorant, knowing = make_queue(), make_queue(), make_queue()
    results = [sender.task(name=n)(f).delay(3) for n, f in [("a", sample.square), ("b", sample.asquare)]]
    assert ignorant.run_worker(burst=True) == 0
    assert ([r.state for r in results], sender.pending(), sender.running()) == ([State.PENDING] * 2, 2, 0)
    knowing.task(name="a")(sample.square)
    assert knowing.run_worker(burst=True) == 1
    knowing.task(name="b")(sample.asquare)
    assert knowing.run_worker(burst=True) == 1
    assert [r.get(timeout=30) for r in results] == [9, 9]


@only_server
def test_parked_tasks_keep_their_place(make_queue: MakeQueue) -> None:
    sender, worker = make_queue(), make_queue()
    strange = sender.task(name="strange")(sample.note)
    strange.delay("first")
    worker.run_worker(burst=True)
    strange.apply_async(("higher",), priority=1)
    strange.delay("second")
    worker.task(name="strange")(sample.note)
    wait_until(lambda: worker.run_worker(burst=True) or len(seen) == 3)
    assert sorted(seen) == ["first", "higher", "second"]


@only_server
def test_a_parked_task_can_be_revoked(make_queue: MakeQueue) -> None:
    sender, worker = make_queue(), make_queue()
    result = sender.task(name="strange")(sample.note).delay(1)
    worker.run_worker(burst=True)
    assert result.revoke() == "revoked"
    worker.task(name="strange")(sample.note)
    assert (worker.run_worker(burst=True), seen, result.state) == (0, [], State.REVOKED)
