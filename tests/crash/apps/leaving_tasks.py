"""The tasks of the tests of what a task leaves behind in its process."""

from __future__ import annotations

import asyncio
import decimal
import os
import resource
import signal
import socket
import subprocess
import threading
from contextvars import ContextVar
from typing import Any

from hotqueue import HotQueue, Reject
from hotqueue.errors import SoftTimeLimitExceeded
from hotqueue.runtime.memory import resident_bytes
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "crash"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write
BIG = 80 << 20  # more than the 60 MB by which a process may have grown
tenant: ContextVar[str] = ContextVar("tenant", default="none")
tenant.set("of the module")
decimal.getcontext().prec = 17


@queue.task
def pid() -> int:
    return os.getpid()


@queue.task
def memory() -> tuple[int, int]:
    return os.getpid(), resident_bytes() >> 20


# --- memory --------------------------------------------------------------------------------------------------------


class Slow:
    def __reduce__(self) -> Any:
        return _load, ()


def _load() -> None:
    big = bytearray(BIG)
    raise ValueError(len(big))


@queue.task
def fails() -> None:
    big = bytearray(BIG)
    raise ValueError(len(big))


@queue.task
def fails_while_it_handles() -> None:
    big = bytearray(BIG)
    try:
        raise KeyError(len(big))
    except KeyError as error:
        saved = error
        raise ValueError(str(saved)) from error


@queue.task
def fails_in_groups() -> None:
    big = bytearray(BIG)
    errors = []
    for _ in range(3):
        try:
            raise OSError(len(big))
        except OSError as error:
            errors.append(error)
    raise ExceptionGroup("many", errors)


@queue.task(retries=1, retry_backoff=False, default_retry_delay=0)
def fails_and_is_retried() -> None:
    big = bytearray(BIG)
    raise ValueError(len(big))


@queue.task(bind=True, max_retries=1, default_retry_delay=0, retry_backoff=False)
def asks_for_retry(self: Any) -> None:
    big = bytearray(BIG)
    try:
        raise ValueError(len(big))
    except ValueError as error:
        self.retry(exc=error)


@queue.task(soft_time_limit=0.05)
def is_timed_out() -> None:
    big = bytearray(BIG)
    take_time(20 + len(big))


@queue.task
def is_rejected() -> None:
    big = bytearray(BIG)
    raise Reject(f"{len(big)}")


@queue.task
def cannot_store() -> Any:
    big = bytearray(BIG)
    return lambda: (big, socket.socket())


@queue.task
def takes(value: Any) -> None:
    raise ValueError(value)


@queue.task
async def afails() -> None:
    big = bytearray(BIG)
    await asyncio.sleep(0)
    raise ValueError(len(big))


@queue.task(soft_time_limit=0.05)
async def ais_timed_out() -> None:
    big = bytearray(BIG)
    await atake_time(20 + len(big))


@queue.task
async def afails_in_a_group() -> None:
    async def below() -> None:
        big = bytearray(BIG)
        await asyncio.sleep(0)
        raise ValueError(len(big))

    async with asyncio.TaskGroup() as group:
        group.create_task(below())


FAILING = {
    "fails": (),
    "fails_while_it_handles": (),
    "fails_in_groups": (),
    "fails_and_is_retried": (),
    "asks_for_retry": (),
    "is_timed_out": (),
    "is_rejected": (),
    "cannot_store": (),
    "takes": (Slow(),),
    "afails": (),
    "ais_timed_out": (),
    "afails_in_a_group": (),
}


@queue.task
def gives_back(size: int) -> bytes:
    return bytes(size)


# --- context -------------------------------------------------------------------------------------------------------


@queue.task
def context_then_change(to: str) -> tuple[str, int]:
    """Return what the task finds, and leave something else."""
    found = tenant.get(), decimal.getcontext().prec
    tenant.set(to)
    decimal.getcontext().prec = 5
    return found


@queue.task
async def acontext_then_change(to: str) -> tuple[str, int]:
    found = tenant.get(), decimal.getcontext().prec
    tenant.set(to)
    decimal.getcontext().prec = 5
    await asyncio.sleep(0)
    return found


# --- signals, limits, descriptors ----------------------------------------------------------------------------------


@queue.task
def leaves_an_alarm(seconds: float, has_handler: bool = False) -> int:
    if has_handler:
        signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    return os.getpid()


@queue.task(retries=50, retry_backoff=False, default_retry_delay=0.05, retry_jitter=False)
def leaves_an_alarm_in_a_thread(seconds: float) -> int:
    """Leave an alarm on, once another thread than the main one has the task."""
    assert threading.current_thread() is not threading.main_thread()
    return leaves_an_alarm(seconds)


@queue.task
async def aleaves_an_alarm(seconds: float) -> int:
    return leaves_an_alarm(seconds)


@queue.task
def naps(seconds: float) -> int:
    take_time(seconds)
    return os.getpid()


@queue.task(soft_time_limit=1.0)
def has_an_alarm_of_its_own() -> tuple[int, bool]:
    """Return how often its alarm rang, and whether the limit was heard."""
    rung = 0

    def ring(*_: object) -> None:
        nonlocal rung
        rung += 1

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        take_time(20)
    except SoftTimeLimitExceeded:
        return rung, True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return rung, False


@queue.task
def takes_our_signals() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    return os.getpid()


@queue.task
def blocks_signals() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGURG, signal.SIGCHLD})
    return os.getpid()


@queue.task
def ends_what_it_started() -> int:
    process = subprocess.Popen(["sleep", "30"])
    try:
        process.terminate()
        return process.wait(5)
    finally:
        process.kill()


@queue.task(soft_time_limit=0.3)
def sleeps_too_long() -> None:
    for _ in range(400):
        take_time(0.05)


@queue.task
def closes_its_streams(n: int) -> int:
    """And sends a task, over a connection that is new: it must not get one of their numbers."""
    for number in range(3):
        os.close(number)
    queue._store.pool.close()
    pid.delay()
    return n


@queue.task
async def acloses_its_streams(n: int) -> int:
    for number in range(3):
        os.close(number)
    return n


@queue.task
def writes_there(text: str) -> int:
    for number in (1, 2):
        os.write(number, text.encode())
    return os.getpid()


@queue.task
def closes(n: int, first: int = 3) -> int:
    note("closes", n)
    os.closerange(first, 256)
    return n


@queue.task
def closes_and_opens(n: int) -> int:
    """As a program that becomes a daemon: other files get the numbers."""
    note("closes", n)
    os.closerange(3, 256)
    for _ in range(40):
        os.open(os.devnull, os.O_RDWR)
    return n


@queue.task
async def acloses(n: int) -> int:
    note("acloses", n)
    os.closerange(3, 256)
    return n


@queue.task
def work(n: int) -> int:
    note("work", n)
    return n


@queue.task
def upsets_the_process() -> None:
    """Change what is the process's: later tasks see it, and the worker goes on."""
    os.chdir("/")
    os.umask(0o777)
    socket.setdefaulttimeout(0.001)
    os.environ["HOTQUEUE_URL"] = "redis://127.0.0.1:1/0"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
