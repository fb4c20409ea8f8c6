"""Tasks of which only some run at a time; each notes when it begins and ends, by the clock that all processes of a host share."""

from __future__ import annotations

import os
import time

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "lanes"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


@queue.task(max_concurrency=4)
def four(n: int, seconds: float = 0.02) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns())
    take_time(seconds)
    note("end", os.getpid(), n, time.monotonic_ns())
    return n


@queue.task(max_concurrency=1, concurrency_key="tenant-{tenant}", autoretry_for=(OSError,), retry_backoff=0.01)
def one_each(n: int, tenant: int) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns(), tenant)
    take_time(0.005)
    note("end", os.getpid(), n, time.monotonic_ns(), tenant)
    return n


@queue.task(max_concurrency=3)
async def three(n: int) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns())
    await atake_time(0.02)
    note("end", os.getpid(), n, time.monotonic_ns())
    return n


@queue.task
def free(n: int) -> int:
    return n
