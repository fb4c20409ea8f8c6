"""Tasks of two names, each of which notes when it starts, by the clock that all processes of a host share."""

from __future__ import annotations

import os
import time

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "pausing"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


@queue.task(name="mail")
def mail(n: int, seconds: float = 0.0) -> int:
    note("mail", n, time.monotonic_ns())
    take_time(seconds)
    return n


@queue.task(name="price")
def price(n: int, seconds: float = 0.0) -> int:
    note("price", n, time.monotonic_ns())
    take_time(seconds)
    return n


@queue.task(name="amail")
async def amail(n: int, _seconds: float = 0.0) -> int:
    note("amail", n, time.monotonic_ns())
    await atake_time(0.01)
    return n


@queue.task(name="bill", max_concurrency=8, concurrency_key="tenant-{tenant}")
def bill(n: int, tenant: int) -> int:
    note(f"bill-{tenant}", n, time.monotonic_ns())
    return n
