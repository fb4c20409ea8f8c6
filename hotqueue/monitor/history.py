"""History: what happened in the queues of a store together, in one, or to tasks of one name; kept for a moment for all viewers.

Reads through `statistics`. What is asked again within a few seconds is answered from here, so that any number of viewers cost
the server what one does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hotqueue.monitor import many_statistics, statistics
from hotqueue.monitor.statistics import Mark, Series
from hotqueue.store.store import Store

T = TypeVar("T")

FRESH = 3.0  # seconds for which an answer is good
SHARE = 20  # one that takes long to read is good for longer: reading takes one part in so many of the time
KEPT = 200  # answers that are kept


class History:
    """What happened in the queues of one store, as all viewers of this process share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, _Answer] = OrderedDict()

    def overall(self, queues: Sequence[str], step: int, spans: int) -> Series:
        """Return what happened in several queues together; see `many_statistics.overall`."""
        return self._once(
            ("overall", tuple(queues), step, spans), lambda: many_statistics.overall(self._store, queues, step, spans)
        )

    def series(self, queue: str, task: str, step: int, spans: int) -> Series:
        """Return what happened in one queue, or to tasks of one name there."""
        ask = (queue, task, step, spans)
        return self._once(("series", *ask), lambda: statistics.series(self._store, *ask))

    def by_task(self, queues: Sequence[str], step: int, spans: int) -> list[Series]:
        """Return the same of each name of tasks in some queues."""
        return self._once(
            ("by_task", tuple(queues), step, spans), lambda: many_statistics.by_task(self._store, queues, step, spans)
        )

    def oldest(self, queues: Sequence[str]) -> dict[str, float]:
        """Return how many seconds the first waiting task of each queue waits, where one does."""
        return self._once(("oldest", tuple(queues)), lambda: many_statistics.oldest(self._store, queues))

    def deploys(self, queues: Sequence[str]) -> list[Mark]:
        """Return the deploys that were marked in some queues, each version once, the newest last."""
        return self._once(("deploys", tuple(queues)), lambda: many_statistics.marks(self._store, queues))

    def _once(self, what: Any, read: Callable[[], T]) -> T:
        """Return an answer that is not older than FRESH; where several ask for it at once, one reads it."""
        with self._lock:
            answer = self._kept.setdefault(what, _Answer())
            self._kept.move_to_end(what)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        with answer.lock:
            if time.monotonic() >= answer.good_until:
                began = time.thread_time()
                answer.value = read()
                answer.good_until = time.monotonic() + max(FRESH, SHARE * (time.thread_time() - began))
            found: T = answer.value
            return found


class _Answer:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.good_until = 0.0
        self.value: Any = None
