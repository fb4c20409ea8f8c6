"""Tasks of which only some start in a while, or that take turns; each notes when it begins, by the clock of the host."""

from __future__ import annotations

import os
import time

from hotqueue import HotQueue
from tests.support.durations import atake_time, take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "rates"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


@queue.task(rate_limit="50/s")
def fifty(n: int, seconds: float = 0.0) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns())
    take_time(seconds)
    return n


@queue.task(rate_limit="20/s", rate_limit_key="host-{host}", autoretry_for=(OSError,), retry_backoff=0.01)
def twenty(n: int, host: int) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns(), host)
    return n


@queue.task(rate_limit="20/s")
async def twenty_async(n: int) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns())
    await atake_time(0.01)
    return n


@queue.task(fair_key="tenant-{tenant}")
def fair(n: int, tenant: str, seconds: float = 0.0) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns(), tenant)
    take_time(seconds)
    return n


@queue.task(
    unique="job-{n}",
    max_concurrency=3,
    rate_limit="200/s",
    rate_limit_key="host",
    fair_key="tenant-{tenant}",
    autoretry_for=(OSError,),
    retry_backoff=0.01,
)
def all_gates(n: int, tenant: str, seconds: float = 0.005) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns(), tenant)
    take_time(seconds)
    note("end", os.getpid(), n, time.monotonic_ns(), tenant)
    return n


@queue.task
def free(n: int) -> int:
    return n
