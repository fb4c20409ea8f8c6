"""History: what happened in the queues of a store together, in one, or to tasks of one name; kept for a moment for all viewers.

Reads through `statistics`. What is asked again within a few seconds is answered from here, so that any number of viewers cost
the server what one does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from hotqueue.monitor import statistics
from hotqueue.monitor.statistics import Mark, Series, Span
from hotqueue.store.store import Store

T = TypeVar("T")

FRESH = 3.0  # seconds for which an answer is good
KEPT = 200  # answers that are kept


class History:
    """What happened in the queues of one store, as all viewers of this process share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, _Answer] = OrderedDict()

    def overall(self, queues: Sequence[str], step: int, spans: int) -> Series:
        """Return what happened in several queues together; see `statistics.series`."""
        return self._once(
            ("overall", tuple(queues), step, spans),
            lambda: together([statistics.series(self._store, queue, "", step, spans) for queue in queues], step, spans),
        )

    def series(self, queue: str, task: str, step: int, spans: int) -> Series:
        """Return what happened in one queue, or to tasks of one name there."""
        ask = (queue, task, step, spans)
        return self._once(("series", *ask), lambda: statistics.series(self._store, *ask))

    def by_task(self, queues: Sequence[str], step: int, spans: int) -> list[Series]:
        """Return the same of each name of tasks in some queues."""

        def read() -> list[Series]:
            return [each for queue in queues for each in statistics.by_task(self._store, queue, step, spans)]

        return self._once(("by_task", tuple(queues), step, spans), read)

    def oldest(self, queues: Sequence[str]) -> dict[str, float]:
        """Return how many seconds the oldest waiting task of each queue waits, where one does."""

        def read() -> dict[str, float]:
            ages = {queue: statistics.oldest(self._store, queue) for queue in queues}
            return {queue: age for queue, age in ages.items() if age is not None}

        return self._once(("oldest", tuple(queues)), read)

    def deploys(self, queues: Sequence[str]) -> list[Mark]:
        """Return the deploys that were marked in some queues, each version once, the newest last."""

        def read() -> list[Mark]:
            marks = sorted(
                (mark for queue in queues for mark in statistics.deploys(self._store, queue)), key=lambda mark: mark.at
            )
            return list({mark.version: mark for mark in reversed(marks)}.values())[::-1]

        return self._once(("deploys", tuple(queues)), read)

    def _once(self, what: Any, read: Callable[[], T]) -> T:
        """Return an answer that is not older than FRESH; where several ask for it at once, one reads it."""
        with self._lock:
            answer = self._kept.setdefault(what, _Answer())
            self._kept.move_to_end(what)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        with answer.lock:
            if time.monotonic() - answer.read_at >= FRESH:
                answer.value = read()
                answer.read_at = time.monotonic()
            found: T = answer.value
            return found


class _Answer:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.read_at = -FRESH
        self.value: Any = None


def together(series: Sequence[Series], step: int, spans: int) -> Series:
    """Return what happened in several queues, as one series without a queue."""
    last = int(time.time()) // step
    by_moment = {at: Span(at) for n in range(spans) if (at := datetime.fromtimestamp((last - n) * step, UTC))}
    for each in series:
        for span in each.spans:
            if span.at in by_moment:
                by_moment[span.at] += span
    return Series("", "", step, tuple(by_moment[at] for at in sorted(by_moment)))
