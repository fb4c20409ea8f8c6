"""What a task leaves behind in its process: nothing that the next one sees by surprise, or that breaks the worker.

Of the kind: memory that a failure holds (each way to fail, sync and async), a big result; context (ContextVar, decimal), of
sync tasks, threads, coroutines and in this process; alarms against our limits and against later tasks; our signal handlers;
signals left blocked; our descriptors, gone or with other files behind their numbers; the standard streams, closed; what is
the process's own, and only has to break nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue.errors import SoftTimeLimitExceeded, WorkerLost
from tests.crash.apps.leaving_tasks import FAILING
from tests.crash.workers import Workers
from tests.support.processes import worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
AT_IMPORT = ("of the module", 17)


@pytest.fixture
def workers(queue_name: str, store_url: str, tmp_path: Path, make_queue: Callable[..., Any]) -> Iterator[Workers]:
    """A queue with the tasks of `leaving_tasks`; the workers' log is shown when the test fails."""
    made = Workers("leaving_tasks", queue_name, store_url, tmp_path)
    yield made
    made.stop()
    made.queue.discard_dead(all=True)
    print(made.said()[-5000:])


# --- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "threads"), [*((task, 1) for task in FAILING), ("fails", 2)])
def test_a_failing_task_takes_its_locals_along(workers: Workers, task: str, threads: int) -> None:
    workers.start("-p1", "-t", threads, "--async-concurrency", "1")
    failing = getattr(workers.tasks, task)
    failing.delay(*FAILING[task]).get(60, propagate=False)
    before = workers.tasks.memory.delay().get(30)
    for result in [failing.delay(*FAILING[task]) for _ in range(12)]:
        assert isinstance(result.get(60, propagate=False), BaseException)
    after = workers.tasks.memory.delay().get(30)
    assert before[0] == after[0]
    assert after[1] - before[1] < 60


def test_an_idle_worker_keeps_no_result_and_no_argument(workers: Workers) -> None:
    worker = workers.start()
    (child,) = worker_processes(worker.pid)
    workers.tasks.gives_back.delay(1).get(30)
    before = resident_mb(child)
    assert len(workers.tasks.gives_back.delay(40 << 20).get(60)) == 40 << 20
    workers.tasks.takes.delay(b"x" * (40 << 20)).get(60, propagate=False)
    wait_until(lambda: resident_mb(child) - before < 30)


def resident_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


# --- context -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [("-p1",), ("-p1", "-t2")], ids=str)
def test_each_task_begins_with_the_context_of_the_modules(workers: Workers, options: tuple[str, ...]) -> None:
    workers.start(*options)
    sync, coro = workers.tasks.context_then_change, workers.tasks.acontext_then_change
    results = [task.delay(f"of {n}") for n in range(10) for task in (sync, coro)]
    assert [tuple(r.get(30)) for r in results] == [AT_IMPORT] * 20


def test_it_does_in_this_process_too(workers: Workers) -> None:
    sync, coro = workers.tasks.context_then_change, workers.tasks.acontext_then_change
    results = [task.delay("x") for _ in range(3) for task in (sync, coro)]
    mine = (workers.tasks.tenant.get(), workers.tasks.decimal.getcontext().prec)
    workers.queue.run_worker(burst=True)
    assert [tuple(r.get(30)) for r in results] == [mine] * 6
    with workers.queue.testing():
        assert [tuple(task.delay("x").get()) for _ in range(3) for task in (sync, coro)] == [mine] * 6
    assert (workers.tasks.tenant.get(), workers.tasks.decimal.getcontext().prec) == mine


# --- alarms and signals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_handler", [True, False])
def test_an_alarm_that_a_task_left_on_hits_nobody(workers: Workers, has_handler: bool) -> None:
    workers.start()
    for _ in range(3):
        pid = workers.tasks.leaves_an_alarm.delay(0.2, has_handler).get(30)
        assert workers.tasks.naps.delay(0.5).get(30) == pid
    assert workers.said().count("left an alarm on" if has_handler else "rang and no task handles it") == 1


@pytest.mark.parametrize("options", [("-p1", "-t2"), ("-p1",)], ids=["threads", "a loop"])
def test_an_alarm_that_a_thread_or_a_coroutine_left_on_hits_nobody(workers: Workers, options: tuple[str, ...]) -> None:
    workers.start(*options)
    kind = workers.tasks.leaves_an_alarm_in_a_thread if len(options) > 1 else workers.tasks.aleaves_an_alarm
    pid = kind.delay(0.2).get(30)
    wait_until(lambda: "SIGALRM rang and no task handles it" in workers.said() or "was killed" in workers.said())
    assert workers.tasks.pid.delay().get(30) == pid


def test_an_alarm_of_the_tasks_and_our_limit_are_both_heard(workers: Workers) -> None:
    workers.start()
    for _ in range(3):
        rung, limited = workers.tasks.has_an_alarm_of_its_own.delay().get(30)
        assert limited
        assert 1 <= rung <= 30  # about ten, and more on a busy machine


def test_a_task_that_takes_our_signals_does_not_keep_them(workers: Workers) -> None:
    worker = workers.start()
    pid = workers.tasks.takes_our_signals.delay().get(30)
    wait_until(lambda: "is the supervisor's in a worker process" in workers.said())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert workers.tasks.pid.delay().get(30) == pid
    assert worker.poll() is None


@pytest.mark.parametrize("options", [("-p1",), ("-p1", "-t2")], ids=str)
def test_signals_that_a_task_left_blocked_reach_the_next_one(workers: Workers, options: tuple[str, ...]) -> None:
    workers.start(*options)
    for _ in range(3):
        workers.tasks.blocks_signals.delay().get(30)
    for _ in range(4):
        assert workers.tasks.ends_what_it_started.delay().get(30) == -signal.SIGTERM
        with pytest.raises(SoftTimeLimitExceeded):
            workers.tasks.sleeps_too_long.delay().get(30)
    assert workers.said().count("left signals blocked") == 1


# --- descriptors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [("-p1",), ("-p2",)], ids=str)
@pytest.mark.parametrize("task", ["closes", "closes_and_opens"])
def test_a_task_that_closes_our_descriptors_ends_once_and_its_process_too(
    workers: Workers, task: str, options: tuple[str, ...]
) -> None:
    worker = workers.start(*options)
    before = workers.tasks.work.map(range(50))
    closing = getattr(workers.tasks, task).delay(7)
    after = workers.tasks.work.map(range(50, 100))
    assert closing.get(30) == 7
    assert before.get(30) + after.get(30) == list(range(100))
    runs = Counter(tuple(line) for line in workers.noted())
    assert set(runs.values()) == {1}
    assert len(runs) == 101
    wait_until(lambda: f"leaving_tasks.{task} closed file descriptors of its worker process" in workers.said())
    wait_until(lambda: len(worker_processes(worker.pid)) == int(options[0][2:]))


@pytest.mark.parametrize("task", ["closes_its_streams", "acloses_its_streams"])
def test_what_is_printed_after_a_task_closed_its_streams_is_no_command(workers: Workers, task: str) -> None:
    """What is opened next has their numbers: a connection to Redis, which takes a line of text for a command."""
    worker = workers.start()
    before = worker_processes(worker.pid)
    for _ in range(3):
        assert getattr(workers.tasks, task).delay(7).get(30) == 7
        for client in workers.redis.client_list():  # its connections have to be made anew
            workers.redis.client_kill_filter(client["id"], skipme=True)
        assert workers.tasks.work.map(range(20)).get(30) == list(range(20))
        assert [workers.tasks.writes_there.delay("\r\nSET printed yes\r\n").get(30)] == before
    assert workers.redis.get("printed") is None
    assert workers.tasks.work.map(range(20)).get(30) == list(range(20))


def test_a_coroutine_that_closes_them_is_charged_with_the_death(workers: Workers) -> None:
    workers.start()
    closing = workers.tasks.acloses.delay(7)
    good = workers.tasks.work.map(range(50))
    with pytest.raises(WorkerLost):
        closing.get(60)
    assert good.get(30) == list(range(50))
    assert "leaving_tasks.acloses closed file descriptors of its worker process" in workers.said()


def test_what_is_the_processs_own_breaks_no_worker(workers: Workers) -> None:
    worker = workers.start()
    assert workers.tasks.upsets_the_process.delay().get(30) is None
    (child,) = worker_processes(worker.pid)
    for client in workers.redis.client_list():  # its connections have to be made anew
        workers.redis.client_kill_filter(client["id"], skipme=True)
    assert workers.tasks.work.map(range(50)).get(30) == list(range(50))
    assert worker_processes(worker.pid) == [child]
