"""Tasks that yield, for workers that die."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "streams"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


def may_go_on() -> bool:
    """Tell whether the test has read the first item, and armed what it is about."""
    return os.path.exists(f"{os.environ.get('CRASH_NOTES', '')}.go")


@queue.task
def count(n: int) -> Iterator[tuple[int, int]]:
    """Yield the process, and the number of each item."""
    note("run", os.getpid())
    for i in range(n):
        yield os.getpid(), i
        while not may_go_on():
            take_time(0.002)


@queue.task(stream_deterministic=True)
def steady(n: int) -> Iterator[int]:
    note("run", os.getpid())
    for i in range(n):
        yield i
        while not may_go_on():
            take_time(0.002)


@queue.task(stream_deterministic=True)
async def asteady(n: int) -> AsyncIterator[int]:
    note("run", os.getpid())
    for i in range(n):
        yield i
        while not may_go_on():
            await atake_time(0.002)


@queue.task
def endless() -> Iterator[int]:
    n = 0
    while True:
        take_time(0.001)
        yield n
        n += 1


@queue.task
def until_told() -> Iterator[int]:
    n = 0
    while not may_go_on():
        take_time(0.001)
        yield n
        n += 1
    return n
