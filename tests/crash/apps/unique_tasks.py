"""Unique tasks; each notes when it begins and ends, by the clock that all processes of a host share."""

from __future__ import annotations

import os
import time

from hotqueue import HotQueue
from tests.support.durations import take_time
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "unique"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


@queue.task(unique="user-{user}", on_conflict="ignore")
def once(user: int, n: int) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns(), user)
    take_time(0.005)
    note("end", os.getpid(), n, time.monotonic_ns(), user)
    return n


@queue.task(unique="user-{user}", on_conflict="replace", autoretry_for=(OSError,), retry_backoff=0.01, max_retries=50)
def newest(user: int, n: int) -> int:
    note("begin", os.getpid(), n, time.monotonic_ns(), user)
    take_time(0.005)
    note("end", os.getpid(), n, time.monotonic_ns(), user)
    if n % 3 == 0 and newest.request.retries == 0:
        raise OSError("again")
    return n
