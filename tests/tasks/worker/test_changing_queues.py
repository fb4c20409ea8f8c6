"""Queues that a worker begins to work at, and lets go of, while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.process import Process
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server", "cluster")


@contextmanager
def working(*queues: HotQueue, late: HotQueue, left: list[tuple[int, int]], threads: int = 2) -> Iterator[Process]:
    """Have a process work that knows no more than `queues`, until the end of the block."""
    process = Process(
        [queue._tasks for queue in queues],
        late_stores=[late._store],
        threads=threads,
        left=lambda queue, order: left.append((queue, order)),
    )
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        yield process
    finally:
        process.stop_fetching()
        sample.go_on.set()
        thread.join()


def several(make_queue: MakeQueue, queue_name: str) -> list[HotQueue]:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(4)]
    share_stores([queue._tasks for queue in queues])
    return queues


def test_one_without_queues_works_at_those_that_come_and_not_at_those_that_went(make_queue: MakeQueue, queue_name: str) -> None:
    queues, left = several(make_queue, queue_name), list[tuple[int, int]]()
    with working(late=queues[0], left=left) as process:
        for number, queue in enumerate(queues[:2]):
            process.adopt(number, queue._tasks)
            assert queue.submit(sample.square, 3).get(30) == 9
        assert queues[0].submit(sample.asquare, 4).get(30) == 16
        process.let_go(0, 7)
        wait_until(lambda: left == [(0, 7)])
        wait_until(lambda: not queues[0].workers())
        waits = queues[0].submit(sample.square, 5)
        process.adopt(0, queues[2]._tasks)  # under the number that was left
        assert queues[2].submit(sample.square, 6).get(30) == 36
        assert queues[1].submit(sample.asquare, 6).get(30) == 36
        assert not waits.ready()
        process.adopt(2, queues[0]._tasks)
        assert waits.get(30) == 25
    assert [queue.workers() for queue in queues] == [[]] * 4


def test_what_runs_is_brought_to_its_end_before_a_queue_is_left(make_queue: MakeQueue, queue_name: str) -> None:
    queues, left = several(make_queue, queue_name), list[tuple[int, int]]()
    hold = queues[1].task(name="hold")(sample.hold)
    with working(queues[0], late=queues[0], left=left, threads=1) as process:
        process.adopt(1, queues[1]._tasks)
        held = hold.delay("held")
        wait_until(lambda: sample.seen == ["held"])
        process.let_go(1, 1)
        process.adopt(1, queues[1]._tasks)  # it came back
        process.let_go(1, 2)
        sample.go_on.set()
        assert held.get(30) == "held"
        wait_until(lambda: left == [(1, 2)])
        assert queues[0].submit(sample.square, 3).get(30) == 9
