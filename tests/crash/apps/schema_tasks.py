"""The tasks of the tests of upgrades: each run notes the schema that its process knows, and waits for a file if told to."""

from __future__ import annotations

import os
from pathlib import Path

from hotqueue import HotQueue, keys
from tests.support.durations import let_pass
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "crash"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES")).write


@queue.task
def work(n: int, until: str = "") -> int:
    note(n, keys.SCHEMA)
    while until and not Path(until).exists():
        let_pass(0.01)
    return n


@queue.task
async def awork(n: int) -> int:
    note(n, keys.SCHEMA)
    return n


@queue.task(max_retries=5, autoretry_for=(OSError,), retry_backoff=0.01)
def flaky(n: int, until: str = "") -> int:
    note(n, keys.SCHEMA)
    while until and not Path(until).exists():
        let_pass(0.01)
    if flaky.request.retries < 1:
        raise OSError("not yet")
    return n
