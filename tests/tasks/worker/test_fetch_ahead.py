"""Fetching ahead: large batches overlap, small ones do not, and nothing stays unsettled when a worker goes to sleep."""

from __future__ import annotations

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.sync_worker import AHEAD_FROM, SyncWorker

pytestmark = pytest.mark.servers("server")


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
def test_nothing_stays_unsettled_when_there_is_nothing_more(queue: HotQueue, worker: SyncWorker, count: int) -> None:
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
