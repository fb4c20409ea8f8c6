"""Two queues with the same tasks: for the tests of whose turn it is."""

from __future__ import annotations

import os

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

NAME, URL = os.environ.get("CRASH_QUEUE", "crash"), os.environ.get("CRASH_URL")
queue = HotQueue(NAME, url=URL)
second = HotQueue(f"{NAME}-b", url=URL)
note = Notes(os.environ.get("CRASH_NOTES", "")).write


def naps(seconds: float) -> None:
    note("a")
    take_time(seconds)


def bnaps(seconds: float) -> None:
    note("b")
    take_time(seconds)


async def anaps(seconds: float) -> None:
    note("a")
    await atake_time(seconds)


async def banaps(seconds: float) -> None:
    note("b")
    await atake_time(seconds)


SYNC = queue.task(naps), second.task(bnaps)
ASYNC = queue.task(anaps), second.task(banaps)
