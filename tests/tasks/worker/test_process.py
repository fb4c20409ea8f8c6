"""One worker process: its workers, its event loop, whom it tells of them, and how it ends of a bug."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.start_permits import StartPermits
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def burst(*queues: HotQueue, **options: Any) -> Process:
    """Run a process until nothing is left, and return it."""
    process = Process([queue._tasks for queue in queues], is_burst=True, **options)
    process.run()
    return process


def test_every_worker_is_announced_with_the_slot_of_its_permit_pipe(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.task(sample.asquare).delay(1)
    told: list[tuple[int, str, str]] = []
    burst(queue, threads=2, announce=lambda worker, slot: told.append((slot, worker.kind, worker.presence.id)))
    assert sorted((slot, kind) for slot, kind, _ in told) == [(0, "s"), (1, "s"), (2, "a")]
    assert len({worker for _, _, worker in told}) == 3


def test_the_event_loop_is_started_by_the_first_coroutine(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.task(sample.square).delay(1)
    assert len(burst(queue).workers) == 1
    queue.submit(sample.asquare, 2)
    assert [worker.kind for worker in burst(queue).workers] == ["s", "a"]


def test_several_queues_are_worked_at_together(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(3)]
    results = [queue.task(f).delay(3) for queue in queues for f in (sample.square, sample.asquare)]
    assert burst(*queues).done == {"succeeded": 6}
    assert [r.get(timeout=30) for r in results] == [9] * 6


def test_a_worker_that_fails_of_a_bug_ends_the_process(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    process = Process([queue._tasks], threads=2)
    process.workers[1].run = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    process.run()
    assert process.failed
    assert "a worker thread of process" in caplog.text


def test_pipes_may_come_from_a_supervisor(make_queue: MakeQueue) -> None:
    import os

    queue = make_queue()
    pipes = [os.pipe(), os.pipe()]
    result = queue.task(sample.square).delay(3)
    burst(queue, pipes=pipes)
    assert result.get(timeout=30) == 9
    assert StartPermits(pipes[0]).drain() == {}
    for pipe in pipes:
        for fd in pipe:
            os.close(fd)
