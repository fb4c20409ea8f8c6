"""What a worker process does at its end: what Python does at the end of a program, and no more than --grace of it.

Of this kind: functions of `atexit`, of the module and of tasks, the last one first, whatever one of them raises; threads that
are no daemons; executors; children and finalizers of multiprocessing; `weakref.finalize`. At each good end: a stop, --max-tasks,
HUP, TTOU, the end of a burst. Not in a process that was killed, and never what the supervisor has registered before the fork.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.elsewhere import task_by_name
from tests.support.processes import start_command, worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("embedded")

APP = """
import atexit, concurrent.futures, multiprocessing, multiprocessing.util, os, sys, tempfile, threading, weakref
from hotqueue import HotQueue
from tests.support.durations import take_time
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])

def mark(text):
    with open(os.environ["MARKS"], "a") as file:
        file.write(f"{os.getpid()} {text}\\n")

atexit.register(mark, "first registered")
atexit.register(mark, "second registered")

@queue.task
def pid():
    return os.getpid()

@queue.task
def register(what):
    atexit.register(mark, what)
    return os.getpid()

@queue.task
def fail():
    def broken():
        raise OSError("the disk is gone")
    atexit.register(mark, "before the broken one")
    atexit.register(broken)
    atexit.register(sys.exit, 7)
    atexit.register(mark, "after the broken one")

@queue.task
def send():
    def put():
        queue.put("from an exit")
    atexit.register(put)

kept = []

@queue.task
def thread():
    def run():
        take_time(0.3)
        mark("thread ended")
    threading.Thread(target=run).start()

@queue.task
def executor():
    pool = concurrent.futures.ThreadPoolExecutor(1)
    kept.append(pool)
    pool.submit(take_time, 0.3)
    pool.submit(mark, "executor ended")

@queue.task
def pool():
    kept.append(multiprocessing.get_context("fork").Pool(2))
    return [process.pid for process in multiprocessing.active_children()]

class Thing: ...

@queue.task
def finalizers():
    kept.append(Thing())
    weakref.finalize(kept[-1], mark, "finalized")
    multiprocessing.util.Finalize(None, mark, ("finalized by multiprocessing",), exitpriority=10)
    kept.append(tempfile.TemporaryDirectory(dir=os.path.dirname(os.environ["MARKS"])))
    return kept[-1].name

@queue.task
def hang(how):
    if how == "atexit":
        atexit.register(take_time, 600)
    elif how == "thread":
        threading.Thread(target=take_time, args=(600,)).start()
    else:
        kept.append(concurrent.futures.ThreadPoolExecutor(1))
        kept[-1].submit(take_time, 600)
    return os.getpid()

@queue.task
def leave_at_once():
    atexit.register(os._exit, 5)

@queue.task
def die():
    os._exit(3)
"""


class App:
    """A worker of APP, what it left in the file of marks, and what it said."""

    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        (folder / "app.py").write_text(APP)
        self.folder, self.queue, self.log = folder, queue, folder / "log"
        self.env = {"QUEUE": queue.name, "STORE": url, "MARKS": str(folder / "marks")}
        self.worker: subprocess.Popen[str] | None = None

    def __getattr__(self, name: str) -> Any:
        """Return a task as a caller sees it that has none of the code."""
        return task_by_name(self.queue, f"app.{name}")

    def start(self, *options: object) -> subprocess.Popen[str]:
        arguments = ("app", *options) if "-p" in options else ("app", "-p", 1, *options)
        with open(self.log, "a") as stderr:
            self.worker = start_command(
                "hotqueue-worker", *arguments, cwd=self.folder, env=self.env, stderr=stderr, start_new_session=True
            )
        return self.worker

    def stop(self) -> None:
        """Stop the worker, which has to end well."""
        assert self.worker is not None
        self.worker.send_signal(signal.SIGTERM)
        assert self.worker.wait(60) == 0

    def at_work(self) -> set[int]:
        """Return the processes that are known at the queue: one that is loaded to follow another is not, yet."""
        return {int(told["pid"]) for told in self.queue.workers()}

    def marks(self, pid: int | None = None) -> list[str]:
        """Return what was marked, by one process or by all."""
        path = self.folder / "marks"
        lines = [line.split(" ", 1) for line in path.read_text().splitlines()] if path.exists() else []
        return [text for by, text in lines if pid is None or int(by) == pid]

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def app(tmp_path: Path, make_queue: Callable[..., HotQueue], store_url: str) -> Iterator[App]:
    made = App(tmp_path, make_queue(), store_url)
    yield made
    if made.worker is not None:
        made.worker.kill()
        made.worker.communicate()
    made.queue.discard_dead(all=True)


IMPORTED = ["second registered", "first registered"]


def test_a_stop_runs_what_was_registered_the_last_one_first(app: App) -> None:
    app.start("-p", 2)
    wait_until(lambda: len(app.queue.workers()) == 2)
    pids = {app.register.delay(f"of task {n}").get(timeout=30) for n in range(4)}
    app.stop()
    tasks = [mark for pid in pids for mark in app.marks(pid) if mark.startswith("of task")]
    assert sorted(tasks) == [f"of task {n}" for n in range(4)]
    for pid in pids:
        own = app.marks(pid)
        assert own[-2:] == IMPORTED
        assert own[:-2] == sorted(own[:-2], reverse=True)
    assert app.marks().count("first registered") == 2  # the supervisor imports nothing, and nobody runs them twice
    assert "Traceback" not in app.said()


def test_a_replaced_process_runs_them(app: App) -> None:
    app.start("--max-tasks", 1)
    pid = app.pid.delay().get(timeout=30)
    wait_until(lambda: app.marks(pid) == IMPORTED)
    worker = app.worker
    assert worker is not None
    for number in (signal.SIGHUP, signal.SIGTTOU):
        if number == signal.SIGTTOU:
            os.kill(worker.pid, signal.SIGTTIN)
            wait_until(lambda: len(app.at_work()) == 2)
        before = wait_until(lambda: app.at_work() - {pid})
        os.kill(worker.pid, number)
        wait_until(lambda before=before: any(app.marks(pid) == IMPORTED for pid in before))
    app.stop()


def test_the_end_of_a_burst_runs_them(app: App) -> None:
    result = app.register.delay("of a task")
    assert app.start("-b").wait(60) == 0
    assert app.marks(result.get(timeout=30)) == ["of a task", *IMPORTED]


def test_a_process_that_dies_or_is_killed_runs_none(app: App) -> None:
    app.start()
    killed = app.pid.delay().get(timeout=30)
    os.kill(killed, signal.SIGKILL)
    app.die.apply_async((), max_deliveries=1)
    wait_until(lambda: app.said().count("was killed by SIGKILL") + app.said().count("exited with 3") == 2)
    last = app.pid.delay().get(timeout=30)
    assert app.marks() == []
    app.stop()
    assert app.marks() == app.marks(last) == IMPORTED


def test_what_one_of_them_raises_is_logged_and_the_rest_runs(app: App) -> None:
    app.fail.delay()
    assert app.start("-b").wait(60) == 0
    assert app.marks() == ["after the broken one", "before the broken one", *IMPORTED]
    assert re.search("broken.*, which was to run at the exit of a process, failed", app.said())
    assert "OSError: the disk is gone" in app.said()
    assert "SystemExit: 7" in app.said()


def test_a_queue_can_still_be_used(app: App) -> None:
    app.send.delay()
    assert app.start("-b").wait(60) == 0
    assert app.queue.get() == "from an exit"


@pytest.mark.parametrize("what", ["thread", "executor"])
def test_threads_are_waited_for_before(app: App, what: str) -> None:
    getattr(app, what).delay()
    assert app.start("-b").wait(60) == 0
    assert app.marks() == [f"{what} ended", *IMPORTED]


def test_an_open_pool_of_processes_is_ended(app: App) -> None:
    result = app.pool.delay()
    assert app.start("-b").wait(60) == 0
    pids = result.get(timeout=30)
    assert len(pids) == 2
    assert [pid for pid in pids if os.path.exists(f"/proc/{pid}")] == []
    assert "longer than --grace" not in app.said()


def test_finalizers_run(app: App) -> None:
    result = app.finalizers.delay()
    assert app.start("-b").wait(60) == 0
    assert sorted(app.marks()) == sorted(["finalized", "finalized by multiprocessing", *IMPORTED])
    assert not os.path.exists(result.get(timeout=30))


@pytest.mark.parametrize("how", ["atexit", "thread", "executor"])
def test_what_hangs_is_ended_after_the_grace(app: App, how: str) -> None:
    result = app.hang.delay(how)
    assert app.start("-b", "--grace", 0.5).wait(60) == 0
    assert result.get(timeout=30)
    assert app.said().count("what it does at its exit (atexit, threads) takes longer than --grace") == 1


def test_nobody_waits_for_what_hangs(app: App) -> None:
    """A replaced process has its successor while it still leaves, and a second signal ends it at once."""
    app.start("--max-tasks", 1, "--grace", 600)
    pid = app.hang.delay("thread").get(timeout=30)
    assert app.pid.delay().get(timeout=30) != pid
    worker = app.worker
    assert worker is not None
    assert pid in worker_processes(worker.pid)
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "once more to stop at once" in app.said())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_an_exit_function_that_ends_the_process_is_said(app: App) -> None:
    app.leave_at_once.delay()
    assert app.start("-b").wait(60) == 0
    assert "ended with exit code 5 while it did what is done at an exit" in app.said()
