"""What must not wait until a task that drags is done; that rings go to others meanwhile is in test_places.py."""

from __future__ import annotations

import threading

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.worker.settler import Settler
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


def test_its_thread_ends_with_the_workers() -> None:
    before = set(threading.enumerate())
    settler = Settler()
    settler.add(lambda _since: True, list)
    settler.watch()
    assert not set(threading.enumerate()) <= before
    settler.end()
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_a_long_task_after_full_batches_does_not_keep_their_outcomes(queue: HotQueue, worker: SyncWorker) -> None:
    """What the fetch ahead did not carry any more is told while the long task runs."""
    started, release = threading.Event(), threading.Event()

    def long() -> None:
        started.set()
        release.wait(20)

    definition_of(queue.task(name="long")(long)).by_value = False
    results = queue.tasks["double"].map(range(512))
    last = queue.tasks["long"].delay()
    turning = threading.Thread(target=lambda: [None for _ in iter(worker.turn, False)])
    turning.start()
    try:
        assert started.wait(10)
        assert results.get(30) == [2 * n for n in range(512)]
        assert not last.ready()
    finally:
        release.set()
        turning.join()
    assert last.get(30) is None
