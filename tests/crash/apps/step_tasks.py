"""Tasks for steps of workflows; each notes that it runs."""

from __future__ import annotations

import os
from typing import Any

from hotqueue import HotQueue
from tests.support.notes import Notes

queue = HotQueue(os.environ.get("CRASH_QUEUE", "steps"), url=os.environ.get("CRASH_URL"))
note = Notes(os.environ.get("CRASH_NOTES", "")).write


@queue.task(max_deliveries=20)
def add(*numbers: Any) -> Any:
    note("add", os.getpid())
    return sum(sum(each) if isinstance(each, list) else each for each in numbers)


@queue.task(max_deliveries=20)
def fails(*_: Any) -> None:
    raise ValueError("no")
