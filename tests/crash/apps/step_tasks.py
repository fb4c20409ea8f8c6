"""Tasks for steps of workflows; each notes that it runs."""

from __future__ import annotations

import os
from typing import Any

from hotqueue import HotQueue
from hotqueue.tasks import chain, group
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


@queue.task(max_deliveries=20, unique="{n}", on_conflict="ignore")
def only(n: int) -> int:
    note("only", os.getpid())
    return n


@queue.task(max_deliveries=20)
def loop(n: int, is_wide: bool) -> Any:
    """Be replaced by what ends with it again, so many times."""
    note("loop", os.getpid())
    if n == 0:
        return "end"
    return chain(group(add.s(1), add.s(2)), add.s(3), loop.si(n - 1, is_wide)) if is_wide else loop.s(n - 1, is_wide)
