"""What systemd is told: that a worker is ready, alive, and stopping. The other end of its socket is here.

Of the same kind: a socket in the abstract namespace, one that nobody reads, one that is gone; a watchdog for another process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import HotQueue
from tests.support.processes import run_python
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.servers("server"), pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and its address as it is in the environment."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@hotqueue-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind("\0" + name[1:] if name.startswith("@") else name)
        link.settimeout(30)
        yield link, name


def start_worker(start_command: Start, store_url: str, queue: HotQueue, env: dict[str, str]) -> subprocess.Popen[str]:
    return start_command("hotqueue-worker", "-Q", queue.name, "-u", store_url, "-p", 1, env=env)


def test_a_worker_says_that_it_is_ready_and_stops(
    manager: tuple[socket.socket, str], start_command: Start, make_queue: Callable[..., HotQueue], store_url: str
) -> None:
    link, name = manager
    queue = make_queue()
    worker = start_worker(start_command, store_url, queue, {"NOTIFY_SOCKET": name})
    assert link.recv(100) == b"READY=1"
    seen = queue.submit(os.environ.get, "NOTIFY_SOCKET")
    assert seen.get(timeout=30) is None  # whatever a task starts has nothing to say
    worker.send_signal(signal.SIGTERM)
    assert link.recv(100) == b"STOPPING=1"
    assert worker.wait(30) == 0


def test_a_worker_gives_signs_of_life_until_its_supervisor_stands_still(
    manager: tuple[socket.socket, str], start_command: Start, make_queue: Callable[..., HotQueue], store_url: str
) -> None:
    link, name = manager
    env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}
    worker = start_worker(start_command, store_url, make_queue(), env)
    lines = [link.recv(100)]
    while b"READY=1" not in lines or lines.count(b"WATCHDOG=1") < 5:
        lines.append(link.recv(100))
    worker.send_signal(signal.SIGSTOP)
    wait_until(lambda: is_silent(link, 0.0))
    assert is_silent(link, 1.0)
    worker.send_signal(signal.SIGCONT)
    link.settimeout(30)
    assert link.recv(100) == b"WATCHDOG=1"


def is_silent(link: socket.socket, seconds: float) -> bool:
    link.settimeout(seconds)
    try:
        link.recv(100)
    except (TimeoutError, BlockingIOError):
        return True
    return False


def test_one_that_cannot_begin_says_that_it_stops(
    manager: tuple[socket.socket, str], start_command: Start, store_url: str
) -> None:
    link, name = manager
    env = {"NOTIFY_SOCKET": name}
    worker = start_command("hotqueue-worker", "no_such_module", "-u", store_url, env=env, stderr=subprocess.DEVNULL)
    assert link.recv(100) == b"STOPPING=1"
    assert worker.wait(30) == 3


WHERE_NOBODY_READS = """
import os, socket, sys
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.service_manager import ServiceManager

link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
link.bind(sys.argv[1])
os.environ.update({"NOTIFY_SOCKET": sys.argv[1], "WATCHDOG_USEC": "1", **eval(sys.argv[2])})
manager = ServiceManager()
for _ in range(2000):  # more than a socket keeps
    manager.tell(Phase(print))
link.close()
os.unlink(sys.argv[1])
manager.tell(Phase(print))
print(manager.every > 0, "NOTIFY_SOCKET" in os.environ)
"""


@pytest.mark.parametrize(("variables", "is_meant"), [({}, True), ({"WATCHDOG_PID": "1"}, False), ({"WATCHDOG_USEC": "x"}, False)])
def test_one_that_does_not_read_holds_up_nobody(tmp_path: Path, variables: dict[str, str], is_meant: bool) -> None:
    done = run_python(WHERE_NOBODY_READS, tmp_path / "notify", repr(variables))
    assert done.stdout == f"{is_meant} False\n"
