"""History: what happened in the queues of a store together, in one, or to tasks of one name; kept for a moment for all viewers.

Reads through `statistics`. What is asked again within a few seconds is answered from here, so that any number of viewers cost
the server what one does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from hotqueue.monitor import many_statistics, statistics
from hotqueue.monitor.known_spans import KnownSpans
from hotqueue.monitor.pace import Pace
from hotqueue.monitor.statistics import Mark, Series
from hotqueue.monitor.sums import Sums
from hotqueue.store.store import Store

T = TypeVar("T")

FRESH = 3.0  # seconds for which an answer is good
OLD = 10.0  # after which it is not shown any more while the next one is read
WAIT = 0.1  # seconds that somebody waits for what happened in many queues; who comes later sees it
FEW = 20  # queues: what happened in these is waited for
SHARE = 20  # one that takes long to read is good for longer: reading takes one part in so many of the time
KEPT = 200  # answers that are kept


class History:
    """What happened in the queues of one store, as all viewers of this process share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, _Answer] = OrderedDict()
        self._known = KnownSpans()
        self._of_many: dict[tuple[int, int], _Reader] = {}

    def overall(self, queues: Sequence[str], step: int, spans: int) -> Series | None:
        """Return what happened in several queues together; None: they are many, and it is being read, for who comes next.

        The first look at a thousand busy queues takes seconds, and further ones read what has changed.
        """
        if len(queues) <= FEW:
            ask = partial(many_statistics.overall, self._store, queues, step, spans)
            return self._once(("overall", tuple(queues), step, spans), ask)
        with self._lock:
            reader = self._of_many.setdefault((step, spans), _Reader(Sums(self._store, step, spans)))
        return reader.get(queues)

    def series(self, queue: str, task: str, step: int, spans: int) -> Series:
        """Return what happened in one queue, or to tasks of one name there."""
        ask = (queue, task, step, spans)
        return self._once(("series", *ask), lambda: statistics.series(self._store, *ask))

    def by_task(self, queues: Sequence[str], step: int, spans: int) -> list[Series]:
        """Return the same of each name of tasks in some queues."""
        return self._once(
            ("by_task", tuple(queues), step, spans),
            lambda: many_statistics.by_task(self._store, queues, step, spans, self._known),
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


class _Reader:
    """Reads what happened in many queues, in a thread of its own while anybody asks."""

    def __init__(self, sums: Sums) -> None:
        self._sums = sums
        self._lock = threading.Lock()
        self._reading: threading.Event | None = None  # set at its end, or once it is to be waited for no longer
        self._value: Series | None = None
        self._error: Exception | None = None
        self._read_at = -OLD
        self._good_until = 0.0

    def get(self, queues: Sequence[str]) -> Series | None:
        """Return what is known, not older than OLD; None where that is nothing within WAIT.

        Raises:
            HotQueueError: the server said so, to somebody who waited for it.
        """
        with self._lock:
            if time.monotonic() < self._good_until:
                return self._value
            if (reading := self._reading) is None:
                reading = self._reading = threading.Event()
                threading.Thread(target=self._read, args=(list(queues), reading), name="hotqueue-history", daemon=True).start()
        reading.wait(WAIT)
        with self._lock:
            if self._reading is not reading and self._error is not None:
                raise self._error
            return self._value if time.monotonic() - self._read_at < OLD else None

    def _read(self, queues: Sequence[str], reading: threading.Event) -> None:
        began, pace = time.thread_time(), Pace(WAIT)

        def is_long() -> None:
            pace.nobody_waits()
            reading.set()

        try:
            value = self._sums.read(queues, pace, is_long)
            with self._lock:
                self._value, self._error, self._read_at = value, None, time.monotonic()
                self._good_until = time.monotonic() + max(FRESH, SHARE * (time.thread_time() - began))
        except Exception as error:  # for those who wait; of a store that was closed meanwhile, of any kind
            self._error = error
        finally:
            self._reading = None
            reading.set()
