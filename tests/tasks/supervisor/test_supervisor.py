"""The parent of the worker processes, seen from outside; signals and limits are in tests/cli/test_worker.py."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support import processes
from tests.support.processes import is_gone
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


class Supervised:
    """A generic worker and the queue it works at."""

    def __init__(self, queue: HotQueue, url: str, log: Path, *arguments: object) -> None:
        self.queue, self.log = queue, log
        with open(log, "w") as stderr:
            self.process: subprocess.Popen[str] = processes.start_command(
                "hotqueue-worker", "-Q", queue.name, "--url", url, *arguments, cwd=log.parent, stderr=stderr
            )

    def children(self, count: int) -> set[int]:
        """Wait until so many processes have registered; return their pids."""

        def pids() -> set[int]:
            return {int(facts["pid"]) for facts in self.queue.workers()}

        return wait_until(lambda: pids() if len(pids()) == count else None)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        self.process.communicate()


@pytest.fixture
def supervise(make_queue: MakeQueue, store_url: str, tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(*arguments: object) -> Supervised:
        started.append(Supervised(make_queue(), store_url, tmp_path / f"log{len(started)}", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


def get(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_children_that_die_are_replaced_and_those_of_a_dead_supervisor_end(supervise: Callable[..., Supervised]) -> None:
    worker = supervise("-p", 2)
    before = worker.children(2)
    victim = min(before)
    os.kill(victim, signal.SIGSEGV)
    wait_until(lambda: is_gone(victim) and victim not in worker.children(2))
    assert before - {victim} < worker.children(2)
    assert re.search(rf"process {victim} was killed by SIGSEGV \(peak memory \d+ MB\)\n", worker.log.read_text())
    assert worker.queue.submit(os.getpid).get(timeout=30) in worker.children(2)
    after = worker.children(2)
    worker.process.kill()
    wait_until(lambda: all(is_gone(pid) for pid in after))
    # Their tasks and names are put in order by whoever works at the queue next.
    other = supervise("-p", 1)
    wait_until(lambda: not {int(w["pid"]) for w in worker.queue.workers()} & after)
    assert other.queue.submit(pow, 2, 3).get(timeout=30) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_keep_no_pipe_of_each_other_or_of_their_supervisor(supervise: Callable[..., Supervised]) -> None:
    worker = supervise("-p", 3)
    pids = worker.children(3)
    held = [pipes_of(pid) for pid in pids]
    assert all(held)
    assert set.intersection(*held) == set()
    assert [one & other for one, other in itertools.combinations(held, 2)] == [set()] * 3


def pipes_of(pid: int) -> set[str]:
    """Return the pipes that a process has open, but for its standard streams."""
    found = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if int(fd.name) > 2]
    return {name for name in found if name.startswith("pipe:")}


def test_the_supervisor_says_how_it_is(supervise: Callable[..., Supervised]) -> None:
    worker = supervise("-p", 2, "--health-port", 0)
    worker.children(2)
    port = int(wait_until(lambda: re.search(r"health port: http://127.0.0.1:(\d+)/", worker.log.read_text())).group(1))
    wait_until(lambda: get(port, "/readyz")[0] == 200)  # one is enough for that
    wait_until(lambda: get(port, "/readyz")[1]["processes"] == 2)
    status, facts = get(port, "/livez")
    assert (status, facts["processes"]) == (200, 2)


def test_a_supervisor_imports_no_user_code(supervise: Callable[..., Supervised], tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import os\nfrom hotqueue import HotQueue\nqueue = HotQueue('unused')\n"
        "open('importers', 'a').write(f'{os.getpid()} {os.getppid()}\\n')\n"
    )
    worker = supervise("noisy", "-p", 2)
    children = worker.children(2)
    lines = (tmp_path / "importers").read_text().splitlines()
    assert {int(line.split()[0]) for line in lines} == children
    assert {int(line.split()[1]) for line in lines} == {worker.process.pid}


def test_children_share_what_their_supervisor_imported(supervise: Callable[..., Supervised], tmp_path: Path) -> None:
    (tmp_path / "looking.py").write_text(
        "import gc, sys\nfound = 'redis' in sys.modules, gc.get_freeze_count() > 10_000\n"
        "from hotqueue import HotQueue\nqueue = HotQueue('unused')\n"
        "open('found', 'w').write(str(found))\n"
    )
    supervise("looking", "-p", 1).children(1)
    assert (tmp_path / "found").read_text() == "(True, True)"
