"""The tasks of the chaos run; each run of one is noted in a file, which no fault of Redis reaches."""

from __future__ import annotations

import os
import signal
import time

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.chaos import wire
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

WIRE = wire.speak()
queue = HotQueue(os.environ.get("CHAOS_QUEUE", "chaos"), url=os.environ.get("CHAOS_URL"))
other = HotQueue(f"{queue.name}-other", url=os.environ.get("CHAOS_OTHER_URL"))  # on a server of its own
crowd = [HotQueue(f"{queue.name}-{n}", url=os.environ.get("CHAOS_URL")) for n in range(10)]  # nothing happens there
_notes = Notes(os.environ.get("CHAOS_NOTES"))


def note(what: str, n: str) -> None:
    """Note ``moment what n retries pid wire id``; moments are comparable between processes."""
    request = current_task.request
    _notes.write(f"{time.monotonic():.6f}", what, n, request.retries, os.getpid(), WIRE, request.id)


@queue.task
def work(n: str, seconds: float = 0.004) -> str:
    note("start", n)
    take_time(seconds)
    note("end", n)
    return n


@queue.task(max_concurrency=3)
def limited(n: str, seconds: float = 0.004) -> str:
    note("start", n)
    take_time(seconds)
    note("end", n)
    return n


@queue.task
async def awork(n: str, seconds: float = 0.02) -> str:
    note("start", n)
    await atake_time(seconds)
    note("end", n)
    return n


@other.task
def elsewhere(n: str, seconds: float = 0.004) -> str:
    note("start", n)
    take_time(seconds)
    note("end", n)
    return n


@queue.task
def bulky(n: str) -> str:
    """Return more than goes with other results."""
    note("start", n)
    note("end", n)
    return n * (400_000 // len(n))


@queue.task(retries=3, retry_backoff=0.1)
def flaky(n: str) -> str:
    note("start", n)
    if current_task.request.retries < 1:
        note("end", n)
        raise OSError("not yet")
    note("end", n)
    return n


@queue.task
def poison(n: str) -> None:
    note("start", n)
    os.kill(os.getpid(), signal.SIGKILL)


@queue.task
async def apoison(n: str) -> None:
    note("start", n)
    signal.raise_signal(signal.SIGSEGV)  # of this thread: another one's would leave it time to return
