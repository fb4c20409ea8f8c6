"""The tasks of the network and data fault tests; they note their starts in a file, which no fault of Redis reaches."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import Any

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "crash"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES")).write


@queue.task
def work(n: int, seconds: float = 0.0) -> int:
    note(n, os.getpid())
    if seconds:
        take_time(seconds)
    return n


@queue.task
async def awork(n: int, seconds: float = 0.0) -> int:
    note(n)
    await atake_time(seconds)
    return n


@queue.task(max_retries=5, autoretry_for=(OSError,), retry_backoff=0.01)
def flaky(n: int, failures: int) -> int:
    """Fail so many times before it returns."""
    note(n)
    if flaky.request.retries < failures:
        raise OSError("not yet")
    return n


@queue.task(retries=3, retry_backoff=0.01)
def changed(n: int, more: int = 0) -> int:
    note(n)
    return n


@queue.task
def blob(size: int) -> bytes:
    note("blob")
    return b"x" * size


@queue.task(retries=3, retry_backoff=0.01)
def retried_blob(size: int) -> bytes:
    note("retried_blob")
    return b"x" * size


@queue.task
async def ablob(size: int) -> bytes:
    note("blob")
    return b"x" * size


@queue.task
def echo(value: Any) -> Any:
    note("echo")
    return value


@queue.task(time_limit=1)
def limited(value: Any) -> Any:
    note("limited")
    return value


@queue.task(time_limit=1)
def overruns(n: int, seconds: float) -> int:
    note(n)
    take_time(seconds)
    return n


@queue.task(result_expires=1)
def short_lived(n: int) -> int:
    return n


@queue.task
def give(what: str) -> Any:
    """Return, or raise, something that travels badly."""
    return CASES[what]()


@queue.task
async def agive(what: str) -> Any:
    """The same, on the event loop."""
    return CASES[what]()


class NeedsTwo(Exception):
    """Pickles, but cannot be loaded: its constructor wants more than `args` holds."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class HoldsASocket(Exception):
    def __init__(self) -> None:
        import socket

        super().__init__("holds a socket")
        self.socket = socket.socket()


def _raise(error: BaseException) -> Any:
    raise error


def _local() -> Any:
    class Local(Exception):
        pass

    raise Local("made in a function")


def _nested() -> Any:
    try:
        raise NeedsTwo(1, 2)
    except NeedsTwo as error:
        raise HoldsASocket from error


def _lock() -> Any:
    import threading

    return threading.Lock()


CASES = {
    "a lock": _lock,
    "a generator": lambda: (n for n in range(3)),
    "needs two": lambda: _raise(NeedsTwo(1, 2)),
    "unprintable": lambda: _raise(Unprintable()),
    "holds a socket": lambda: _raise(HoldsASocket()),
    "local": _local,
    "nested": _nested,
    "huge": lambda: _raise(ValueError("x" * 5_000_000)),
    "group": lambda: _raise(ExceptionGroup("several", [ValueError(1), NeedsTwo(1, 2)])),
    "exit": lambda: _raise(SystemExit(3)),
    "interrupt": lambda: _raise(KeyboardInterrupt("not by hand")),
    "generator exit": lambda: _raise(GeneratorExit("not by close")),
}


@queue.task(time_limit=4)
def limited_work(n: int, seconds: float) -> int:
    note(n)
    take_time(seconds)
    return n


@queue.task
def retry_at(n: int, at: datetime) -> int:
    """Ask once to be run again at an instant."""
    note(n)
    if current_task.request.retries == 0:
        current_task.retry(eta=at)
    return n


@queue.task
def time_of_day() -> float:
    return time.time()


@queue.task(retries=3, retry_backoff=0.01)
def fails_slowly(n: int, seconds: float) -> int:
    note(n)
    take_time(seconds)
    raise OSError("never")
