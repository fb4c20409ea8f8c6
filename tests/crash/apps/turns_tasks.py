"""Two queues with the same tasks: for the tests of whose turn it is."""

from __future__ import annotations

import asyncio
import os
import time

from hotqueue import HotQueue
from tests.support.notes import Notes

NAME, URL = os.environ.get("CRASH_QUEUE", "crash"), os.environ.get("CRASH_URL")
queue = HotQueue(NAME, url=URL)
second = HotQueue(f"{NAME}-b", url=URL)
note = Notes(os.environ.get("CRASH_NOTES", "")).write


def naps(seconds: float) -> None:
    note("a")
    time.sleep(seconds)


def bnaps(seconds: float) -> None:
    note("b")
    time.sleep(seconds)


async def anaps(seconds: float) -> None:
    note("a")
    await asyncio.sleep(seconds)


async def banaps(seconds: float) -> None:
    note("b")
    await asyncio.sleep(seconds)


SYNC = queue.task(naps), second.task(bnaps)
ASYNC = queue.task(anaps), second.task(banaps)
