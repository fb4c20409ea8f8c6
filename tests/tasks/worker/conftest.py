"""Fixtures of the tests of workers: processes in a thread, and workers that are stepped by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room

MakeQueue = Callable[..., HotQueue]


@pytest.fixture
def start(make_queue: MakeQueue) -> Iterator[Callable[..., Process]]:
    """``start(queue, …, **options)`` → a Process that runs in a thread; stopped at the end."""
    started: list[tuple[Process, threading.Thread]] = []

    def begin(queue: HotQueue, *more: HotQueue, **options: Any) -> Process:
        process = Process([each._tasks for each in (queue, *more)], **{"lease_ms": 60_000, **options})
        started.append((process, threading.Thread(target=process.run)))
        started[-1][1].start()
        wait_until(lambda: queue._tasks.broker.where_is(process.workers[0].presence.id)[0])
        return process

    yield begin
    for process, thread in started:
        process.stop_fetching()
        sample.go_on.set()
        thread.join(20)
        assert not thread.is_alive()


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


@pytest.fixture
def subscription(room: Room) -> Subscription:
    """A queue as the sync worker `w` takes from it; `w` is registered nowhere."""
    return Subscription(room.queue._tasks, "w", "s")
