"""Fetching ahead: large batches overlap, small ones do not, and nothing stays unsettled when a worker goes to sleep."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.permits import Permits
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.sync_worker import AHEAD_FROM, SyncWorker

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def worker(queue: HotQueue) -> Iterator[SyncWorker]:
    """A worker that is stepped by hand, used to short tasks."""
    process = Process([queue._tasks], is_burst=True)
    made = process.workers[0]
    assert isinstance(made, SyncWorker)
    made._register()
    for _ in range(20):
        made.subscriptions[0].prefetch.ran(1e-6)
        made.subscriptions[0].prefetch.room()
    yield made
    made._leave()


def test_a_large_batch_has_the_next_one_fetched_meanwhile(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(600))
    assert worker.turn()
    assert worker.subscriptions[0].ahead is None  # what is left may be for others, who wake up now
    assert worker.turn()
    ahead = worker.subscriptions[0].ahead
    assert ahead is not None
    assert ahead.room >= AHEAD_FROM
    while worker.turn():
        pass
    assert results.get(5) == [2 * n for n in range(600)]


def test_a_small_batch_has_not(queue: HotQueue, worker: SyncWorker) -> None:
    queue.tasks["double"].map(range(AHEAD_FROM - 1))
    assert worker.turn()
    assert worker.subscriptions[0].ahead is None


@pytest.mark.parametrize("count", [1, AHEAD_FROM, 256, 300, 512])
def test_nothing_stays_untold_when_there_is_nothing_more(queue: HotQueue, worker: SyncWorker, count: int) -> None:
    results = queue.tasks["double"].map(range(count))
    while worker.turn():
        pass
    assert (worker.subscriptions[0].unsettled, worker.subscriptions[0].in_hand, worker.subscriptions[0].ahead) == ([], {}, None)
    assert all(result.ready() for result in results)


def test_a_fetch_ahead_whose_permits_are_drained_goes_back(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(600))
    assert [worker.turn(), worker.turn()] == [True, True]
    assert worker.permits.drain().total() == worker.subscriptions[0].ahead.room  # type: ignore[union-attr]
    assert worker.turn()  # what the fetch brought is not started, but put back
    assert not worker.subscriptions[0].unstarted
    while worker.turn():
        pass
    assert results.get(5) == [2 * n for n in range(600)]


def test_leaving_with_a_fetch_under_way_puts_it_back(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(600))
    assert [worker.turn(), worker.turn()] == [True, True]
    worker._leave()
    done = sum(result.ready() for result in results)
    assert queue.pending() == 600 - done
    assert queue.running() == 0
    worker.permits = Permits()
    worker._new_incarnation()
    worker._register()
    while worker.turn():
        pass
    assert results.get(5) == [2 * n for n in range(600)]


def test_a_long_task_after_full_batches_does_not_keep_their_outcomes(queue: HotQueue, worker: SyncWorker) -> None:
    """What the fetch ahead did not carry any more is told while the long task runs."""
    started, release = threading.Event(), threading.Event()

    def long() -> None:
        started.set()
        release.wait(20)

    queue.task(name="long")(long)._by_value = False
    results = queue.tasks["double"].map(range(512))
    last = queue.tasks["long"].delay()
    turning = threading.Thread(target=lambda: [None for _ in iter(worker.turn, False)])
    turning.start()
    try:
        assert started.wait(10)
        assert results.get(5) == [2 * n for n in range(512)]
        assert not last.ready()
    finally:
        release.set()
        turning.join()
    assert last.get(5) is None
