"""The tasks of the bystander runs: one that looks on, and those that make trouble. Each run of the first is noted in a file."""

from __future__ import annotations

import os
import signal
import time

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.durations import take_time
from tests.support.notes import Notes

NAME = os.environ.get("BYSTANDER_QUEUE", "bystander")
TROUBLE = os.environ.get("BYSTANDER_TROUBLE", "bystander-trouble")
URL, TROUBLE_URL = os.environ.get("BYSTANDER_URL"), os.environ.get("BYSTANDER_TROUBLE_URL")
OTHERS = int(os.environ.get("BYSTANDER_OTHERS", "0"))

queue = HotQueue(NAME, url=URL)
trouble = HotQueue(TROUBLE, url=TROUBLE_URL)
others = [HotQueue(f"{TROUBLE}-{n}", url=TROUBLE_URL) for n in range(OTHERS)]
_notes = Notes(os.environ.get("BYSTANDER_NOTES"))


@queue.task(ignore_result=True)
def look_on(n: int, sent: float) -> None:
    """Note ``n sent started pid``; moments are comparable between processes."""
    _notes.write(n, sent, time.monotonic(), os.getpid())


@trouble.task
def sleep(seconds: float) -> None:
    take_time(seconds)


@trouble.task
def large(megabytes: float) -> bytes:
    return os.urandom(int(megabytes * 1e6))


@trouble.task(max_deliveries=100_000)
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@trouble.task
def die_once(seconds: float) -> None:
    """Kill the process at first, and be a while about it the next time: what ran when a process died is under suspicion."""
    if not current_task.request.deliveries:
        os.kill(os.getpid(), signal.SIGKILL)
    take_time(seconds)
