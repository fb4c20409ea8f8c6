"""Workers that can keep no presence file: limits, charges and orders hold all the same, and one line says what is missing.

Of this kind: the folder is another user's, is on a read-only disk, on a full one, or on one that fills up later. What rests on
the table of what runs: `time_limit`, `max_deliveries`, `revoke(terminate=True)`, the replacement of a process that is stuck.
Unprivileged tests of the same are in tests/test_presence.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import TaskRevoked, TimeLimitExceeded, WorkerLost
from tests.crash.deployment import Deployment
from tests.support.needs import lacking
from tests.support.processes import command_code, run_python, start_python, worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")

MOUNT = """
import ctypes, os, sys
from pathlib import Path

FAULTS = {
    "another user's": (0, b"uid=12345"),
    "read-only": (1, b""),
    "full": (0, b"size=64k"),
    "full later": (0, b"size=64k"),
}

def call(function, *args):
    if function(*args):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def mount_over_presence_folder(fault):
    where = f"/tmp/hotqueue-{os.getuid()}"
    os.makedirs(where, mode=0o700, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
    new_namespace, recursive_and_private = 0x20000, (1 << 14) | (1 << 18)
    call(libc.unshare, new_namespace)
    call(libc.mount, b"none", b"/", None, recursive_and_private, None)
    flags, options = FAULTS[fault]
    call(libc.mount, b"tmpfs", where.encode(), b"tmpfs", flags, options + b",mode=700" if options else b"mode=700")
    if fault == "full":
        from hotqueue import presence
        fill(Path(presence.folder()))

def fill(folder):
    for size in (4096, 1):
        try:
            with open(folder / f"filling-{size}", "wb", buffering=0) as file:
                while True:
                    file.write(b"x" * size)
        except OSError:
            pass
"""
START = f"{MOUNT}\nmount_over_presence_folder(sys.argv.pop(1))\n{command_code('hotqueue-worker')}"
IMPATIENT = "from hotqueue.tasks.supervisor import watchdog; watchdog.STUCK = 4.0\n"
LINE = "no presence file can be kept"
FAULTS = ["another user's", "read-only", "full"]


class Deprived(Deployment):
    """Workers whose presence folder is of no use."""

    def start(self, fault: str, *args: object, code: str = START) -> subprocess.Popen[str]:  # type: ignore[override]
        told = ["crash_tasks", "-u", self._url, *args]
        with open(self.log, "a") as file:
            pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            self.workers.append(start_python(code, fault, *told, env=self.env, **pipes))
        return self.workers[-1]


@pytest.fixture(scope="module")
def may_mount() -> None:
    try:
        run_python(f"{MOUNT}\nmount_over_presence_folder('full')")
    except AssertionError:
        raise lacking("the right to mount") from None


@pytest.fixture
def deprived(may_mount: None, queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Deprived]:
    made = Deprived(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


@pytest.mark.parametrize("fault", FAULTS)
def test_limits_and_charges_hold_and_one_line_says_what_is_missing(deprived: Deprived, fault: str) -> None:
    tasks = deprived.tasks
    limited = tasks.work.apply_async((1, 6), time_limit=2)
    killer = tasks.die.apply_async((2,), max_deliveries=3)
    deprived.start(fault, "-p2")
    with pytest.raises(TimeLimitExceeded):
        limited.get(30)
    assert deprived.numbers("end") == []
    with pytest.raises(WorkerLost, match="3 times"):
        killer.get(30)
    assert len(deprived.numbers("death")) == 3
    assert tasks.work.map(range(50)).get(30) == list(range(50))
    assert deprived.said().count(LINE) == 1
    assert "Traceback" not in deprived.said()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_running_task_can_be_ended(deprived: Deprived, fault: str) -> None:
    held = deprived.tasks.hold.delay(1)
    deprived.start(fault, "-p1")
    wait_until(lambda: deprived.numbers("start") == [1])
    assert held.revoke(terminate=True) == "running, being stopped"
    with pytest.raises(TaskRevoked):
        held.get(30)


def test_a_process_that_is_stuck_is_replaced(deprived: Deprived) -> None:
    worker = deprived.start("read-only", "-p1", code=IMPATIENT + START)
    assert deprived.tasks.noop.delay(1).get(30) == 1
    (stuck,) = worker_processes(worker.pid)
    os.kill(stuck, signal.SIGSTOP)
    wait_until(lambda: "has made no progress" in deprived.said())
    assert deprived.tasks.noop.delay(2).get(30) == 2
    assert stuck not in worker_processes(worker.pid)


def test_a_disk_that_fills_up_later_harms_nobody(deprived: Deprived) -> None:
    worker = deprived.start("full later", "-p2")
    assert deprived.tasks.work.map(range(20)).get(30) == list(range(20))
    assert LINE not in deprived.said()
    seen_from_here = Path(f"/proc/{worker.pid}/root/tmp/hotqueue-{os.getuid()}")
    run_python(f"{MOUNT}\nfill(Path(sys.argv[1]))", seen_from_here)
    before = set(worker_processes(worker.pid))
    tasks = deprived.tasks
    assert tasks.work.map(range(500)).get(30) == list(range(500))
    assert set(worker_processes(worker.pid)) == before
    worker.send_signal(signal.SIGTTIN)  # one that finds no room
    wait_until(lambda: deprived.said().count(LINE) == 1)
    wait_until(lambda: len({told["pid"] for told in deprived.queue.workers()}) == 3)
    assert tasks.work.map(range(100)).get(30) == list(range(100))
    assert "SIGBUS" not in deprived.said()


def test_messages_are_consumed_all_the_same(may_mount: None, store_url: str, queue_name: str) -> None:
    code = f"""{MOUNT}
mount_over_presence_folder(sys.argv[1])
from hotqueue import HotQueue
queue = HotQueue(sys.argv[2], url=sys.argv[3])
queue.put(1, 2)
print(list(queue.consume(block=False)), len(queue))
"""
    assert {run_python(code, fault, queue_name, store_url).stdout for fault in FAULTS} == {"[1, 2] 0\n"}
