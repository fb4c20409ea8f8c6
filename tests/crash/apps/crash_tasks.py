"""The tasks of the tests of processes that die; each notes its starts and ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import time

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes
from tests.support.waiting import wait_until

queue = HotQueue(os.environ.get("CRASH_QUEUE", "crash"), url=os.environ.get("CRASH_URL"))
_notes = os.environ.get("CRASH_NOTES", "")
note = Notes(_notes).write


@queue.task
def work(n: int, seconds: float = 0.001) -> int:
    note("start", n)
    take_time(seconds)
    note("end", n)
    return n


@queue.task
async def awork(n: int, seconds: float = 0.005) -> int:
    note("start", n)
    await atake_time(seconds)
    note("end", n)
    return n


@queue.task
def noop(n: int) -> int:
    return n


@queue.task
def die(n: int, how: str = "KILL") -> None:
    note("death", n)
    if how == "exit":
        os._exit(0)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, f"SIG{how}"))


@queue.task
async def adie(n: int) -> None:
    note("death", n)
    os.kill(os.getpid(), signal.SIGKILL)


@queue.task
def die_late(n: int, seconds: float) -> None:
    note("death", n)
    take_time(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


@queue.task
async def adie_late(n: int, seconds: float) -> None:
    note("death", n)
    await atake_time(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


@queue.task
def die_once(n: int, seconds: float = 0.0) -> int:
    """Kill the process, if none has died before; else take some seconds."""
    if current_task.request.deliveries == 1:
        note("death", n)
        os.kill(os.getpid(), signal.SIGKILL)
    note("start", n)
    take_time(seconds)
    note("end", n)
    return n


@queue.task
async def adie_once(n: int) -> int:
    if current_task.request.deliveries == 1:
        note("death", n)
        os.kill(os.getpid(), signal.SIGKILL)
    note("start", n)
    return n


@queue.task
def hold_the_gil(seconds: float) -> str:
    note("start", 1)
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))  # PyDLL keeps the GIL: no thread of this process can run
    return "done"


@queue.task
def stubborn(n: int, seconds: float) -> int:
    """Hold on for a time, whatever is raised inside."""
    note("start", n)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            take_time(0.05)
        except BaseException:
            pass
    return n


@queue.task
def hold(n: int) -> int:
    """Run until the test says `release`."""
    note("start", n)
    wait_until(lambda: os.path.exists(f"{_notes}.released"), 600)
    return n


@queue.task
def die_once_and_hold(n: int) -> int:
    """Kill the process, if none has died before; else run until the test says `release`."""
    if current_task.request.deliveries == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    note("start", n)
    wait_until(lambda: os.path.exists(f"{_notes}.released"), 600)
    return n


@queue.task
def until_lost(n: int) -> int:
    """Run until this run is given up, or, the second time, not at all."""
    note("start", n)
    if current_task.request.deliveries == 1:
        wait_until(lambda: current_task.lost, 600)
        note("lost", n)
    return current_task.request.deliveries


@queue.task
async def until_cancelled(n: int) -> int:
    note("start", n)
    if current_task.request.deliveries == 1:
        try:
            await atake_time(60)
        except asyncio.CancelledError:
            note("lost", n)
            raise
    return current_task.request.deliveries


@queue.task
def leave_orphans(n: int) -> int:
    """Have grandchildren that outlive their parent by a little."""
    script = f"for _ in $(seq {n}); do (sleep 0.3) & done"
    return subprocess.run(["sh", "-c", script], stdout=subprocess.DEVNULL, check=True).returncode
