"""How often an async worker asks its queues: no more than it has to, and nothing is left lying for that.

What belongs here: a trip to Redis that brings nothing is work that every task pays for; what such a trip would have brought,
something else must bring.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.async_worker import AsyncWorker
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.subscription import Subscription
from tests.support.waiting import allowed, wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


@contextmanager
def working(*queues: HotQueue, **options: int) -> Iterator[AsyncWorker]:
    """Have a process work at queues until the end of the block; yield its async worker, which has run a task already."""
    queues[0].submit(sample.asquare, 1)
    process = Process([queue._tasks for queue in queues], **options)
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        wait_until(lambda: process.done.total() == 1 and process.is_idle)
        [worker] = [worker for worker in process.workers if isinstance(worker, AsyncWorker)]
        yield worker
    finally:
        process.stop_fetching()
        thread.join()


@pytest.mark.parametrize("count", [1, 3])
def test_a_lone_task_takes_two_steps_one_to_fetch_it_and_one_to_tell(make_queue: MakeQueue, queue_name: str, count: int) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(count)]
    beside = queues[0].task(sample.abeside)  # takes longer than it takes to look again
    with working(*queues) as worker:
        before, done = worker.subscriptions[0].session.number, worker.shared.done
        for n in range(20):
            beside.delay(n)
            wait_until(lambda n=n: done.total() == n + 2 and worker.is_idle)
        assert worker.subscriptions[0].session.number - before <= 45  # 40, and one every few seconds, as always


@pytest.mark.parametrize("count", [1, 3])
def test_what_comes_while_others_run_is_fetched_at_once(make_queue: MakeQueue, queue_name: str, count: int) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(count)]
    hold, note = queues[0].task(sample.ahold), queues[-1].task(sample.anote)
    with working(*queues) as worker:
        hold.delay("held")
        wait_until(lambda: sample.seen == ["held"])
        began = time.monotonic()
        for n in range(20):
            note.delay(n)
            wait_until(lambda n=n: sample.seen[-1] == n)
        assert time.monotonic() - began < allowed(10)  # to look only now and then takes a minute
        sample.go_on.set()
        wait_until(lambda: worker.shared.done.total() == 22)


@pytest.mark.parametrize("count", [1, 3])
def test_what_there_was_no_slot_for_is_fetched_when_one_is_free(make_queue: MakeQueue, queue_name: str, count: int) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(count)]
    squares = [queue.task(sample.asquare) for queue in queues]
    with working(*queues, async_concurrency=2) as worker:
        for n in range(30):
            for square in squares:
                square.delay(n)
        wait_until(lambda: worker.shared.done.total() == 1 + 30 * count)


def test_a_burst_leaves_nothing_that_was_taken_back_and_not_put_back_yet(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, taken = AsyncWorker._start, list[object]()

    def start(worker: AsyncWorker, subscription: Subscription) -> bool:
        if subscription.unstarted and not taken:
            taken.append(worker.permits.drain())  # as upkeep does, which puts back later what it has these of
        return begin(worker, subscription)

    monkeypatch.setattr(AsyncWorker, "_start", start)
    queue = make_queue()
    results = queue.task(sample.asquare).map(range(6))
    assert queue.run_worker(burst=True) == 6
    assert len(taken) == 1
    assert results.get(timeout=0) == [0, 1, 4, 9, 16, 25]
