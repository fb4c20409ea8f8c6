"""Leaving: what was done is settled, what was not started goes back, and nobody is there any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_leaving_with_a_fetch_under_way_puts_it_back(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(600))
    assert [worker.turn(), worker.turn()] == [True, True]
    worker._leave()
    done = sum(result.ready() for result in results)
    assert queue.pending() == 600 - done
    assert queue.running() == 0
    worker.permits = PermitsHere()
    worker._new_incarnation()
    worker._register()
    while worker.turn():
        pass
    assert results.get(30) == [2 * n for n in range(600)]


def test_a_stop_lets_the_running_task_end_and_puts_the_rest_back(make_queue: MakeQueue) -> None:
    queue = make_queue()
    hold, note = queue.task(sample.hold), queue.task(sample.note)
    held = hold.delay("held")
    note.map(range(3))
    process = Process([queue._tasks])
    thread = threading.Thread(target=process.run)
    thread.start()
    wait_until(lambda: sample.seen)
    process.stop_fetching()
    sample.go_on.set()
    thread.join(20)
    assert (held.get(timeout=30), sample.seen) == ("held", ["held"])
    assert (queue.pending(), queue.running(), queue.workers()) == (3, 0, [])
