"""Processes that are replaced while there is work: by SIGHUP, --max-tasks, --max-memory; nobody waits for the old ones.

Of this kind: a long task in the old process, a new one that cannot be loaded (syntax, import, a process that dies of it), a
second HUP before the first is done, HUP before the worker is ready, in a burst, with processes added and removed meanwhile; a
limit that is strict for threads and coroutines as well; new code that brings a new queue. The plan alone:
tests/tasks/supervisor/test_replacement.py.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.supervisor.replacement import most
from tests.support.elsewhere import task_by_name
from tests.support.processes import start_command, worker_processes
from tests.support.waiting import allowed, holds_for, wait_until

pytestmark = pytest.mark.servers("server")

APP = """
import os
from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time

queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
VERSION = 1

def mark(text):
    with open(os.environ["MARKS"], "a") as file:
        file.write(f"{os.getpid()} {text}\\n")

@queue.task
def version():
    return VERSION

@queue.task
def pid():
    mark("pid")
    return os.getpid()

@queue.task
async def apid():
    mark("apid")
    await atake_time(0.05)
    return os.getpid()

@queue.task
def nap(seconds):
    mark("nap")
    take_time(seconds)
    return os.getpid()

kept = []

@queue.task
def grow():
    kept.append(bytearray(80 << 20))
    return os.getpid()
"""


class App:
    """A worker of APP, which can be edited while it runs."""

    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        self.folder, self.queue, self.log, self.source = folder, queue, folder / "log", folder / "app.py"
        self.edit(APP)
        self.env = {"QUEUE": queue.name, "STORE": url, "MARKS": str(folder / "marks"), "PYTHONDONTWRITEBYTECODE": "1"}
        self.worker: subprocess.Popen[str] | None = None

    def edit(self, text: str) -> None:
        """Write a version of the code, as a deployment does."""
        self.source.with_suffix(".new").write_text(text)
        self.source.with_suffix(".new").rename(self.source)

    def __getattr__(self, name: str) -> Any:
        """Return a task as a caller sees it that has none of the code."""
        return task_by_name(self.queue, f"app.{name}", name == "apid")

    def start(self, *options: object, ready: bool = True) -> subprocess.Popen[str]:
        with open(self.log, "a") as stderr:
            self.worker = start_command(
                "hotqueue-worker", "app", *options, cwd=self.folder, env=self.env, stderr=stderr, start_new_session=True
            )
        if ready:
            wait_until(lambda: "  tasks   " in self.said(), what="the worker is ready")
        return self.worker

    def hup(self) -> None:
        assert self.worker is not None
        self.worker.send_signal(signal.SIGHUP)

    def processes(self) -> set[int]:
        assert self.worker is not None
        return set(worker_processes(self.worker.pid))

    def registered(self) -> set[int]:
        return {int(told["pid"]) for told in self.queue.workers()}

    def marks(self) -> list[tuple[int, str]]:
        path = self.folder / "marks"
        lines = [line.split(" ", 1) for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(by), text) for by, text in lines]

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def app(tmp_path: Path, make_queue: Callable[..., HotQueue], store_url: str) -> Iterator[App]:
    made = App(tmp_path, make_queue(), store_url)
    yield made
    print(made.said()[-5000:])
    if made.worker is not None:
        made.worker.send_signal(signal.SIGTERM)
        try:
            made.worker.wait(1)
            made.worker.send_signal(signal.SIGTERM)
            made.worker.wait(20)
        except subprocess.TimeoutExpired:
            made.worker.send_signal(signal.SIGTERM)
            made.worker.wait(20)
        finally:
            made.worker.kill()
            made.worker.communicate()
    made.queue._store.client().flushdb()


def seconds_of(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


LONG = 60.0  # seconds of a task behind which nobody may wait
SOON = 5.0  # seconds that a process needs to be loaded, and a task to run, on any machine


class TestHup:
    def test_nobody_waits_for_a_long_task_of_an_old_process(self, app: App) -> None:
        app.start("-p", 1)
        long = app.nap.delay(LONG)
        wait_until(lambda: app.marks())
        (old,) = app.processes()
        app.hup()
        assert app.pid.delay().get(timeout=allowed(SOON)) != old
        assert app.pid.delay().get(timeout=allowed(1)) != old
        assert old in app.processes()
        assert not long.ready()

    def test_there_are_never_fewer_workers_than_asked_for(self, app: App) -> None:
        app.start("-p", 3)
        before = wait_until(lambda: len(app.registered()) == 3 and app.registered())
        seen: list[int] = []
        app.hup()
        wait_until(lambda: seen.append(len(app.registered())) or not app.registered() & before)
        assert min(seen) >= 3
        assert max(seen) <= most(3)
        wait_until(lambda: len(app.registered()) == 3)
        assert "SIGHUP: the work is done by new processes" in app.said()

    def test_tasks_flow_on_while_all_are_replaced(self, app: App) -> None:
        app.start("-p", 1)
        (old,) = wait_until(app.processes)
        app.pid.delay().get(timeout=30)
        over, times, pids = threading.Event(), [0.0], Counter[int]()

        def flow() -> None:
            while not over.wait(0.01):
                times.append(seconds_of(lambda: pids.update([app.pid.delay().get(timeout=30)])))

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            wait_until(lambda: len(times) > 20)
            app.hup()
            wait_until(lambda: len(pids) > 1 and old not in app.processes())
        finally:
            over.set()
            thread.join()
        assert max(times) < allowed(1.0), "the import of the new process is waited for by nobody"

    def test_new_code_that_cannot_be_loaded_replaces_nobody(self, app: App) -> None:
        app.start("-p", 2)
        before = wait_until(lambda: len(app.registered()) == 2 and app.registered())
        app.edit(APP.replace("def version():", "def version(:"))
        app.hup()
        wait_until(lambda: "cannot load the modules" in app.said())
        assert app.version.delay().get(timeout=30) == 1
        wait_until(lambda: app.processes() == before)
        assert app.registered() == before
        assert app.said().count("cannot load the modules") == 1
        assert re.search(r'app\.py", line \d+\n *def version\(:', app.said())
        assert "the 2 that work stay as they are until the next SIGHUP" in app.said()
        app.edit(APP.replace("VERSION = 1", "VERSION = 2"))
        app.hup()
        wait_until(lambda: app.registered() and not app.registered() & before)
        assert app.version.delay().get(timeout=30) == 2

    @pytest.mark.parametrize("broken", ["import nothing_of_this_name", "1 / 0", "os._exit(7)", "os.kill(os.getpid(), 9)"])
    def test_whatever_is_wrong_with_it(self, app: App, broken: str) -> None:
        app.start("-p", 1)
        before = wait_until(app.registered)
        app.edit(APP + broken)
        app.hup()
        wait_until(lambda: "the 1 that work stay as they are" in app.said())
        assert app.pid.delay().get(timeout=30) in before
        assert app.said().count("cannot load the modules") == 1

    def test_a_second_one_replaces_what_the_first_has_started(self, app: App) -> None:
        app.start("-p", 1)
        app.nap.delay(LONG)
        wait_until(lambda: app.marks())
        most_seen = 0
        for version in (2, 3, 4):
            app.edit(APP.replace("VERSION = 1", f"VERSION = {version}"))
            app.hup()
            if version < 4:  # the next one comes while this one is under way
                continue
            wait_until(lambda: app.version.delay().get(timeout=30) == 4)
            most_seen = max(most_seen, len(app.processes()))
        assert most_seen <= most(1)

    def test_a_module_that_takes_for_ever_is_given_up_by_the_next_one(self, app: App) -> None:
        app.start("-p", 1)
        before = wait_until(app.processes)
        app.edit(APP + "mark('hangs'); take_time(600)")
        app.hup()
        wait_until(lambda: [text for _, text in app.marks()] == ["hangs"])
        wait_until(lambda: "is still importing app after 5 s" in app.said())
        assert app.pid.delay().get(timeout=30) in before
        app.edit(APP.replace("VERSION = 1", "VERSION = 2"))
        app.hup()
        wait_until(lambda: app.version.delay().get(timeout=30) == 2)
        wait_until(lambda: len(app.processes()) == 1)

    def test_before_the_worker_is_ready_it_ends_nothing(self, app: App) -> None:
        app.edit(APP + "mark('loads'); take_time(1)")
        app.start("-p", 1, ready=False)
        wait_until(lambda: app.marks())
        app.hup()
        assert app.version.delay().get(timeout=30) == 1
        wait_until(lambda: [text for _, text in app.marks()] == ["loads"] * 2)

    def test_processes_can_be_added_and_removed_meanwhile(self, app: App) -> None:
        worker = app.start("-p", 2)
        before = wait_until(lambda: len(app.registered()) == 2 and app.registered())
        for number, count in ((signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)):
            app.hup()
            worker.send_signal(number)
            wait_until(lambda count=count, before=before: len(app.registered()) == count and not app.registered() & before)
            wait_until(lambda count=count: len(app.processes()) == count)
            before = app.registered()

    def test_a_burst_goes_on_with_new_processes(self, app: App) -> None:
        naps = [app.nap.delay(0.2) for _ in range(20)]
        worker = app.start("-b", "-p", 1, ready=False)
        wait_until(lambda: app.marks())
        app.hup()
        assert worker.wait(60) == 0
        assert len({nap.get(timeout=30) for nap in naps}) == 2

    def test_a_queue_that_the_new_code_brings_is_looked_after(self, app: App, make_queue: Callable[..., HotQueue]) -> None:
        another = make_queue(f"{app.queue.name}-new")
        app.start("-p", 1, "--lease", 2)
        before = wait_until(app.registered)
        app.edit(APP + "other = HotQueue(os.environ['QUEUE'] + '-new', url=os.environ['STORE'])\n")
        app.hup()
        wait_until(lambda: app.registered() and not app.registered() & before)
        names = {told["worker"] for told in wait_until(another.workers)}
        holds_for(lambda: {told["worker"] for told in another.workers()} >= names, 4, every=0.1)  # two leases
        assert "was given up" not in app.said()
        assert another.submit(pow, 2, 3).get(timeout=30) == 8


class TestMaxTasks:
    def test_nobody_waits_for_a_long_task_of_one_that_has_had_its_number(self, app: App) -> None:
        app.start("-p", 1, "-t", 2, "--max-tasks", 2)
        long = app.nap.delay(LONG)
        wait_until(lambda: app.marks())
        pids = [app.pid.delay().get(timeout=allowed(SOON)) for _ in range(6)]
        assert len(set(pids)) >= 3
        assert not long.ready()

    @pytest.mark.parametrize(("options", "task"), [((), "pid"), (("-t", 4), "pid"), ((), "apid"), (("-t", 4), "apid")])
    @pytest.mark.parametrize("number", [1, 3])
    def test_no_process_begins_more(self, app: App, number: int, options: tuple[object, ...], task: str) -> None:
        results = [getattr(app, task).delay() for _ in range(12)]
        app.start("-p", 2, "--max-tasks", number, *options, ready=False)
        pids = [result.get(timeout=60) for result in results]
        assert max(Counter(pid for pid, _ in app.marks()).values()) <= number
        assert len(app.marks()) == len(pids) == 12
        assert len(app.processes()) <= most(2)

    def test_one_task_a_process_and_one_at_a_time(self, app: App) -> None:
        app.edit(APP.replace("@queue.task\nasync def", "async def"))  # an idle worker of coroutines has room for what waits
        naps = [app.nap.delay(0.3) for _ in range(4)]
        app.start("-p", 1, "--max-tasks", 1, ready=False)
        wait_until(app.marks)
        began = time.monotonic()
        assert len({nap.get(timeout=60) for nap in naps}) == 4
        assert time.monotonic() - began > 3 * 0.3  # two at a time would take two naps long; the first began before it was seen

    def test_its_replacement_is_loaded_before_it_ends(self, app: App) -> None:
        app.edit(APP + "take_time(1)")
        app.start("-p", 1, "--max-tasks", 1)
        first = app.nap.delay(2)
        wait_until(lambda: app.marks())
        second = app.pid.delay()
        first.get(timeout=30)
        assert seconds_of(lambda: second.get(timeout=30)) < allowed(0.8)

    def test_what_cannot_be_loaded_is_told_while_the_old_one_works(self, app: App) -> None:
        app.start("-p", 1, "--max-tasks", 3)
        good = app.source.read_text()
        app.edit(APP + "1 / 0")  # before its first task: where loading takes long, its heir is loaded from then on
        for _ in range(2):
            app.pid.delay().get(timeout=30)
        wait_until(lambda: "ZeroDivisionError" in app.said())
        last = app.pid.delay()
        assert len({last.get(timeout=30), *(pid for pid, _ in app.marks())}) == 1
        waits = app.pid.delay()
        app.edit(good)
        assert waits.get(timeout=allowed(30))
        assert app.said().count("ZeroDivisionError: ") == 1


class TestMaxMemory:
    def test_nobody_waits_for_a_long_task_of_one_that_takes_too_much(self, app: App) -> None:
        app.start("-p", 1, "-t", 2, "--max-memory", "100M")
        long = app.nap.delay(LONG)
        wait_until(lambda: app.marks())
        grown = app.grow.delay().get(timeout=30)
        assert app.pid.delay().get(timeout=allowed(SOON)) != grown
        assert grown in app.processes()
        assert not long.ready()

    def test_the_replacement_is_loaded_when_it_nearly_does(self, app: App) -> None:
        worker = app.start("-p", 1)
        pid = app.grow.delay().get(timeout=30)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        worker.terminate()
        worker.communicate(timeout=30)
        app.start("-p", 1, "--max-memory", int(pages * os.sysconf("SC_PAGE_SIZE") * 1.06))
        pid = app.grow.delay().get(timeout=30)
        wait_until(lambda: len(app.processes()) == 2)
        assert app.registered() == {pid}
        assert app.pid.delay().get(timeout=30) == pid
