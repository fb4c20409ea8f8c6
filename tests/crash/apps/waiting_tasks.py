"""The tasks of the tests of what interrupts a task that waits in our own code."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from hotqueue import HotQueue, SoftTimeLimitExceeded
from tests.support.durations import atake_time, take_time

NAME, URL = os.environ.get("CRASH_QUEUE", "crash"), os.environ.get("CRASH_URL")
queue = HotQueue(NAME, url=URL)
LIMIT = 0.5


@queue.task
def never(n: int = 0) -> None:
    """Is sent to a queue where nobody works."""


def sent(n: int = 0) -> Any:
    return never.apply_async((n,), queue=f"{NAME}-nobody")


def sent_many() -> Any:
    return type(never.map([]))([sent(n) for n in range(3)])


WAYS: dict[str, Callable[[], object]] = {
    "get": lambda: sent().get(),
    "get_with_timeout": lambda: sent().get(timeout=60),
    "set": lambda: sent_many().get(),
    "as_completed": lambda: list(sent_many().as_completed()),
    "as_completed_with_timeout": lambda: list(sent_many().as_completed(timeout=60)),
    "message": lambda: queue.get(block=True),
    "message_with_timeout": lambda: queue.get(block=True, timeout=60),
    "consume": lambda: next(queue.consume()),
}
IN_MAIN_THREAD: dict[str, Callable[[], object]] = {
    "future": lambda: sent().as_future().result(),
    "sleep": lambda: take_time(60),
}


async def _consumes() -> None:
    async for _ in queue.aconsume():
        return


async def _completes() -> None:
    await asyncio.wrap_future(sent().as_future())


AWAYS: dict[str, Callable[[], Any]] = {
    "await": lambda: sent().aget(),
    "aget": lambda: sent().aget(timeout=60),
    "aset": lambda: sent_many().aget(),
    "amessage": lambda: queue.aget(block=True),
    "aconsume": _consumes,
    "afuture": _completes,
    "asleep": lambda: atake_time(60),
}


@queue.task(soft_time_limit=LIMIT)
def waits(way: str) -> tuple[bool, float]:
    """Return whether this is the main thread, and how long it took to hear of the limit."""
    began = time.monotonic()
    try:
        {**WAYS, **IN_MAIN_THREAD}[way]()
    except SoftTimeLimitExceeded:
        return threading.current_thread() is threading.main_thread(), time.monotonic() - began
    raise AssertionError("it did not wait")


@queue.task(soft_time_limit=LIMIT)
def is_ended() -> None:
    sent().get()


@queue.task(soft_time_limit=LIMIT)
async def awaits(way: str) -> None:
    await AWAYS[way]()
