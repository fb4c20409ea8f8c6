"""Tasks of two queues, for workflows over both; each notes that it runs."""

from __future__ import annotations

import os
from typing import Any

from hotqueue import HotQueue
from tests.support.notes import Notes

name = os.environ.get("CRASH_QUEUE", "crossing")
queue = HotQueue(name, url=os.environ.get("CRASH_URL"))
there = HotQueue(f"{name}-there", url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


@queue.task(max_deliveries=20)
def add(*numbers: Any) -> Any:
    note("add", os.getpid())
    return sum(sum(each) if isinstance(each, list) else each for each in numbers)


@there.task(max_deliveries=20)
def add_there(*numbers: Any) -> Any:
    note("add", os.getpid())
    return sum(sum(each) if isinstance(each, list) else each for each in numbers)


@there.task(max_deliveries=20)
def fails(*_: Any) -> None:
    raise ValueError("no")
