"""The tasks of the tests of what a task starts: programs, forks, pools."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "crash"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write
SLEEP = ["sleep", "30"]
INHERITED = "for f in SigBlk SigIgn SigCgt; do grep $f /proc/self/status; done"


def _masks(text: str) -> dict[str, int]:
    return {
        name: int(mask, 16)
        for name, mask in (line.split(":") for line in text.split("\n") if line.startswith(("SigBlk", "SigIgn", "SigCgt")))
    }


def _status() -> str:
    return Path("/proc/self/status").read_text()


def _in_fork() -> str:
    """Return what a forked child reads of its signals."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, _status().encode())
        os._exit(0)
    os.close(write)
    with open(read) as file:
        told = file.read()
    os.waitpid(pid, 0)
    return told


def _posix_spawned() -> str:
    read, write = os.pipe()
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", INHERITED], dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
    os.close(write)
    with open(read) as file:
        told = file.read()
    os.waitpid(pid, 0)
    return told


def _in_multiprocessing(method: str) -> str:
    context: Any = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        return str(pool.apply(_status))


def _by_system() -> str:
    path = Path(f"{os.environ['CRASH_NOTES']}.{os.getpid()}.{threading.get_ident()}")
    os.system(f"({INHERITED}) > {path}")
    return path.read_text()


WAYS = {
    "subprocess": lambda: subprocess.check_output(["sh", "-c", INHERITED], text=True),
    "preexec_fn": lambda: subprocess.check_output(["sh", "-c", INHERITED], text=True, preexec_fn=os.getpid),
    "session": lambda: subprocess.check_output(["sh", "-c", INHERITED], text=True, start_new_session=True),
    "posix_spawn": _posix_spawned,
    "system": _by_system,
    "fork": _in_fork,
    "multiprocessing fork": lambda: _in_multiprocessing("fork"),
    "multiprocessing spawn": lambda: _in_multiprocessing("spawn"),
    "multiprocessing forkserver": lambda: _in_multiprocessing("forkserver"),
}


@queue.task
def signals_of(way: str) -> dict[str, int]:
    return _masks(WAYS[way]())


@queue.task
async def asignals_of(way: str) -> dict[str, int]:
    if way != "subprocess":
        return _masks(WAYS[way]())
    process = await asyncio.create_subprocess_exec("sh", "-c", INHERITED, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return _masks(told.decode())


@queue.task
def terminated(number: int) -> int:
    process = subprocess.Popen(SLEEP)
    process.send_signal(number)
    return process.wait(10)


@queue.task
async def aterminated(number: int) -> int:
    process = await asyncio.create_subprocess_exec(*SLEEP)
    process.send_signal(number)
    return await asyncio.wait_for(process.wait(), 10)


@queue.task
def pool(n: int) -> int:
    with multiprocessing.Pool(2) as workers:
        return sum(workers.map(abs, [-n, -n]))


@queue.task
def executor(n: int) -> int:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        return sum(workers.map(abs, [-n, -n]))


# --- forks ---------------------------------------------------------------------------------------------------------


def _end(how: str) -> Any:
    """End a forked child in one of the ways in which it comes back."""
    if how == "return":
        return 0
    if how == "hard":
        os._exit(7)
    if how == "error":
        raise ValueError("of the child")
    if how == "interrupt":
        raise KeyboardInterrupt
    raise SystemExit({"exit": None, "exit 0": 0, "exit 3": 3, "exit text": "bye"}[how])


def _fork_and_wait(how: str) -> Any:
    pid = os.fork()
    return _end(how) if not pid else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@queue.task
def forks(n: int, how: str) -> int:
    note("start", n)
    return int(_fork_and_wait(how))


@queue.task
async def aforks(n: int, how: str) -> int:
    note("start", n)
    await asyncio.sleep(0)
    return int(_fork_and_wait(how))


@queue.task
async def aforks_below(n: int, how: str) -> int:
    """Fork in an asyncio task that the task started."""

    async def below() -> int:
        return int(_fork_and_wait(how))

    note("start", n)
    return await asyncio.create_task(below())


@queue.task
async def aforks_and_waits(n: int) -> int:
    """The child gives up its turn: what it waits for is in the parent."""
    note("start", n)
    pid = os.fork()
    if not pid:
        await _turn()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _Turn:
    def __await__(self) -> Any:
        yield


async def _turn() -> None:
    await _Turn()


@queue.task
def forks_in_a_thread(n: int) -> int:
    note("start", n)
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(_fork_and_wait("return")))
    thread.start()
    thread.join()
    return statuses[0]


@queue.task
def leaves_a_child(seconds: float) -> int:
    """Leave a process behind that outlives its worker; return its pid."""
    pid = os.fork()
    if not pid:
        take_time(seconds)
        os._exit(0)
    return pid


@queue.task
def sends_from_a_child(n: int) -> int:
    """Have a forked process use the queue."""
    child = multiprocessing.get_context("fork").Process(target=_send, args=(n,))
    child.start()
    child.join()
    return int(child.exitcode or 0)


def _send(n: int) -> None:
    assert square.delay(n).get(timeout=30) == n * n


@queue.task
def square(n: int) -> int:
    return n * n


@queue.task
async def asquare(n: int) -> int:
    note("start", n)
    await atake_time(0.001)
    return n * n


if os.environ.get("FORK_AT_IMPORT") and os.fork() == 0:
    sys.exit(0)
