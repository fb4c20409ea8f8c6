"""Tasks without a worker process: eager mode, and a worker in this process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError
from hotqueue.errors import SoftTimeLimitExceeded, TaskRejected
from hotqueue.runtime import testing_mode
from hotqueue.runtime.wake_pipe import readable
from hotqueue.tasks import State
from hotqueue.tasks.supervisor import inprocess
from hotqueue.tasks.worker.process import Process
from tests.support.durations import take_time
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.sample import seen
from tests.tasks.schedules import put, rare

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def nowhere() -> HotQueue:
    """Return a queue whose store does not exist: eager mode must not need it."""
    return HotQueue("eager", host="127.0.0.1", port=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"threads": 0}, r"run_worker\(\) threads= takes a whole number of at least 1, not 0"),
        ({"threads": "x"}, r"run_worker\(\) threads= takes a whole number, not 'x'"),
        ({"threads": None}, r"threads= takes a whole number, not None"),
        ({"async_concurrency": 0}, r"async_concurrency= takes a whole number of at least 1, not 0"),
        ({"max_tasks": 0}, r"max_tasks= takes a whole number of at least 1, not 0"),
        ({"burst": 1}, r"run_worker\(burst=\) takes True or False, not 1"),
        ({"burts": True}, r"run_worker\(\) got an unknown option 'burts'; did you mean 'burst'\?"),
    ],
    ids=str,
)
def test_a_wrong_option_of_a_worker_here_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        nowhere().run_worker(**options)


class TestEager:
    def test_a_call_is_run_at_once_and_nothing_is_sent(self) -> None:
        queue = nowhere()
        square, asquare = queue.task(sample.square), queue.task(sample.asquare)
        with queue.testing():
            result = square.delay(3)
            assert (result.get(), result.state, result.ready(), result.retries) == (9, State.SUCCESS, True, 0)
            assert asquare.delay(4).get() == 16
            assert square.map(range(4)).get() == [0, 1, 4, 9]
            assert queue.submit(lambda x: x + 1, 1).get() == 2
            assert square.apply_async((5,), countdown=60, task_id="five").id == "five"
        assert testing_mode.sandbox is None

    def test_arguments_and_results_still_go_through_pickle(self) -> None:
        queue = nowhere()
        note = queue.task(sample.note)
        given = [1]
        with queue.testing():
            assert note.delay(given).get() == given
            assert seen[0] is not given
            with pytest.raises(SerializationError, match="argument 1"):
                note.delay(threading.Lock())
            with pytest.raises(SerializationError, match="cannot be stored"):
                queue.task(sample.lock).delay().get()

    def test_retries_do_not_wait(self) -> None:
        queue = nowhere()
        with queue.testing():
            result = queue.task(retries=3, retry_backoff=1000)(sample.flaky).delay(2)
            assert (result.get(), result.retries, seen) == ("done", 2, [0, 1, 2])
            assert queue.task(bind=True)(sample.bound_retry).delay(countdown=1000).get() == "done"

    def test_failures_are_raised_by_get(self) -> None:
        queue = nowhere()
        with queue.testing():
            failed, rejected = queue.task(sample.boom).delay("no"), queue.task(sample.reject).delay("why")
            assert queue.task(sample.ignore).delay().get() is None
        assert failed.state is State.FAILURE
        assert "in boom" in (failed.traceback or "")
        with pytest.raises(OSError, match="no"):
            failed.get()
        with pytest.raises(TaskRejected, match="why"):
            rejected.get()

    def test_a_request_a_soft_limit_and_bind_are_there(self) -> None:
        queue = nowhere()

        @queue.task(soft_time_limit=0.05)
        def long() -> None:
            take_time(20)

        with queue.testing():
            assert queue.task(sample.request).apply_async(headers={"a": 1}).get()["headers"] == {"a": 1}
            assert queue.task(bind=True)(sample.bound).delay(3).get()[1:] == (0, 3)
            with pytest.raises(SoftTimeLimitExceeded):
                long.delay().get()

    def test_asyncio_twins(self) -> None:
        queue = nowhere()

        async def main() -> int:
            with queue.testing():
                result = await queue.task(sample.asquare).adelay(3)
                return await result + await result.aget(timeout=1)

        assert asyncio.run(main()) == 18

    def test_progress_is_nothing_to_trip_over(self) -> None:
        queue = nowhere()
        with queue.testing():
            assert queue.task(sample.progress).delay(1).get() is None


@only_server
class TestRunWorker:
    def test_a_burst_says_how_many_tasks_it_ended(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        queue.task(sample.square).map(range(5))
        queue.task(sample.boom).delay()
        queue.task(sample.ignore).delay()
        assert (queue.run_worker(burst=True), queue.run_worker(burst=True)) == (7, 0)
        queue.discard_dead(all=True)

    def test_it_leaves_nothing_behind(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        queue.task(sample.asquare).map(range(5))
        before = set(threading.enumerate())
        queue.run_worker(burst=True, threads=3)
        assert set(threading.enumerate()) <= before  # what earlier tests began may end meanwhile
        assert (queue.workers(), queue.running()) == ([], 0)

    def test_threads_run_side_by_side(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        sample.meeting = threading.Barrier(3)
        results = queue.task(sample.meet).map(range(3))
        queue.run_worker(burst=True, threads=3)
        assert results.get(timeout=30) == [0, 1, 2]

    def test_coroutines_run_so_many_at_a_time(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        results = queue.task(sample.crowd).map([None] * 30)
        queue.run_worker(burst=True, async_concurrency=7)
        assert max(results.get(timeout=30)) == 7

    def test_it_stops_after_max_tasks_and_puts_the_rest_back(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        note = queue.task(sample.note)
        note.map(range(10))
        assert queue.run_worker(max_tasks=4) == 4
        assert (seen, queue.pending(), queue.running()) == ([0, 1, 2, 3], 6, 0)
        queue.run_worker(burst=True)
        assert seen == list(range(10))

    def test_a_worker_that_waits_runs_what_comes(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        square, asquare = queue.task(sample.square), queue.task(sample.asquare)
        thread = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": 4})
        thread.start()
        wait_until(queue.workers)
        for n in range(2):
            assert (square.delay(n).get(timeout=30), asquare.delay(n).get(timeout=30)) == (n * n, n * n)
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.servers("server")
def test_workers_in_this_process_leave_no_descriptors_and_no_threads(make_queue: MakeQueue) -> None:
    """At once: what Python collects some day comes too late for a program that runs many."""
    queue = make_queue()
    tasks = [queue.task(sample.square), queue.task(sample.asquare), queue.task(sample.progress)]

    def run(with_tasks: bool = True) -> None:
        for task in tasks if with_tasks else ():
            task.map([3, 4])
        queue.run_worker(burst=True, threads=2 if with_tasks else 1)

    run()
    before, threads = _open_here(), set(threading.enumerate())
    gc.disable()
    try:
        for n in range(20):
            run(n % 10 == 0)
        grown = _open_here() - before
        assert grown.pop("socket", 0) < 5  # in 20 runs: the pool grows as far as threads ask at the same time
        assert grown == Counter()
    finally:
        gc.enable()
    wait_until(lambda: set(threading.enumerate()) <= threads)


def _open_here() -> Counter[str]:
    """Return how many pipes and files are open, those named alike together; sockets are of a pool of the process."""
    found = Counter[str]()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            kind = os.readlink(f"/proc/self/fd/{name}").partition(":")[0]
            found["presence" if "/present-" in kind else kind] += 1
    return found


@only_server
def test_what_threads_do_to_a_worker_that_is_gone_harms_nobody(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upkeep that waited for a silent server, say: the numbers of descriptors are somebody else's then."""
    made: list[Process] = []

    def kept(*given: Any, **options: Any) -> Process:
        made.append(Process(*given, **options))
        return made[0]

    monkeypatch.setattr(inprocess, "Process", kept)
    queue = make_queue()
    queue.task(sample.asquare).map([1, 2])
    queue.run_worker(burst=True, threads=2)
    pipes = [os.pipe() for _ in range(20)]
    workers = made[0].workers
    for worker in workers:
        worker.wake()
        worker.was_given_up(0, time.monotonic())
        assert worker.permits.drain() == Counter()
        worker.running.end(worker.running.start(b"late"))
    made[0].stop_fetching()
    assert (len(workers), readable([read for read, _ in pipes], 0)) == (3, [])
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)


class TestSchedules:
    @only_server
    @pytest.mark.parametrize("task", [sample.note, sample.anote])
    def test_a_worker_here_declares_and_fires_while_it_works(self, room: Room, task: Any) -> None:
        room.queue.periodic(0.2, name="s", args=("fired",))(task)
        assert room.queue.run_worker(max_tasks=3) == 3
        assert seen == ["fired"] * 3
        [found] = room.queue.schedules()
        assert (found.declared_by, found.last_run is not None) == ([], True)

    @only_server
    def test_a_burst_makes_up_for_what_was_missed(self, room: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
        put(room, "s", back=2)
        assert room.queue.run_worker(burst=True) == 1
        [found] = room.queue.schedules()
        assert found.last_result is not None
        assert found.last_result.get() == 9

    @only_server
    def test_a_burst_without_schedules_asks_for_them_once(self, room: Room) -> None:
        def asked() -> int:
            return int(room.client.info("commandstats").get("cmdstat_exists", {"calls": 0})["calls"])

        room.queue.run_worker(burst=True)
        before = room.client.info("commandstats")["cmdstat_evalsha"]["calls"]
        room.queue.run_worker(burst=True)
        assert room.client.info("commandstats")["cmdstat_evalsha"]["calls"] - before <= 6
        assert asked() > 0
