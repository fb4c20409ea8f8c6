"""Sums: what happened in many queues together, span by span, kept up to date: what has not changed is not read again.

A row of statistics changes only when somebody counts what was told, and with it the queue's version; and then it is nearly always
that of the last minute, or one of which something was not counted yet at the last look. What else changes, since a worker told of
it late, is found by reading every queue from time to time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hotqueue.monitor.many_statistics import Asked, Counted, counted, first_span, series_of
from hotqueue.monitor.statistics import Series
from hotqueue.store.store import Store
from hotqueue.tasks.rules.tally import Tally, decode
from hotqueue.tasks.wire.counting import ALL

LATE = 2  # spans before the last one, which may change yet
WHOLE = 60.0  # seconds after which a queue is read as a whole again
AT_ONCE = 5  # queues between two rests
TOGETHER = 100  # queues that are read at once
MANY = 20_000  # rows for which nobody should wait: they take more than a tenth of a second anywhere
PART = 20  # part of the queues of which that is done at one look


@dataclass
class _Queue:
    """What was read of one queue.

    Attributes:
        rows: of each span that has one, as it is stored.
        open_from: the first span that may change when the version does.
        whole_at: when all rows were read.
    """

    version: bytes = b""
    rows: dict[int, bytes] = field(default_factory=dict)
    open_from: int = 0
    whole_at: float = 0.0


class Sums:
    """What happened in many queues together.

    Args:
        step: how many seconds a span is long.
        spans: how many are wanted.
    """

    def __init__(self, store: Store, step: int, spans: int) -> None:
        self._store, self._step, self._spans = store, step, spans
        self._queues: dict[str, _Queue] = {}
        self._totals: dict[int, Tally] = {}

    def read(
        self, queues: Sequence[str], rest: Callable[[], None] = lambda: None, is_long: Callable[[], None] = lambda: None
    ) -> Series:
        """Return what happened in some queues, as one series without a queue.

        Args:
            rest: called now and then, so that others have their turn.
            is_long: called as soon as it turns out that there is more to read than anybody should wait for.
        """
        first = first_span(self._store, queues, self._step, self._spans)
        for name in self._queues.keys() - set(queues):
            self._take_out(self._queues.pop(name))
        self._forget_before(first)
        more = [Tally() for _ in range(self._spans)]
        for n, (ask, found) in enumerate(self._found(queues, first, is_long)):
            if n % AT_ONCE == 0:
                rest()
            self._put(ask, found, first, more)
        for n, tally in enumerate(more):
            if (total := self._totals.get(first + n)) is not None:
                tally.add(total)
        return series_of("", ALL, self._step, first, more)

    def _found(self, queues: Sequence[str], first: int, is_long: Callable[[], None]) -> Iterator[tuple[Asked, Counted | None]]:
        """Yield what was asked of each queue, and found: a part of them at a time, so that not all rows are in memory at once."""
        asked = self._asked(queues, first)
        part = len(asked) if self._store.is_cluster else TOGETHER  # of many nodes each is asked once
        for start in range(0, len(asked), part or 1):
            some = asked[start : start + part]
            found = counted(self._store, some, self._step)
            if start == 0 and sum(sum(map(bool, each.rows)) for each in found if each) * len(asked) > MANY * len(some):
                is_long()
            yield from zip(some, found, strict=True)

    def _put(self, asked: Asked, found: Counted | None, first: int, more: list[Tally]) -> None:
        name, begin, _, known = asked
        if found is not None:
            self._take_in(self._queues.setdefault(name, _Queue()), found, begin, known, first)
            self._add_unfolded(name, found, first, more)
        elif name in self._queues:
            self._take_out(self._queues.pop(name))

    def _asked(self, queues: Sequence[str], first: int) -> list[Asked]:
        """Return what is to be read of each queue: what may have changed, of some all."""
        end, now = first + self._spans, time.monotonic()
        due = sorted((each.whole_at, name) for name, each in self._queues.items() if now - each.whole_at > WHOLE)
        whole = {name for _, name in due[: max(1, len(queues) // PART)]}
        asked = []
        for name in queues:
            each = self._queues.get(name)
            if each is None or name in whole:
                asked.append((name, first, self._spans, b""))
            else:
                begin = min(max(each.open_from, first), end - 1)
                asked.append((name, begin, end - begin, each.version))
        return asked

    def _take_in(self, queue: _Queue, found: Counted, begin: int, known: bytes, first: int) -> None:
        if not known:
            queue.whole_at = time.monotonic()
        queue.version = found.version
        queue.open_from = first + self._spans - 1 - LATE
        for n, row in enumerate(found.rows):
            span = begin + n
            if row != queue.rows.get(span, b""):
                self._count(span, queue.rows.pop(span, b""), -1)
                self._count(span, row, 1)
                if row:
                    queue.rows[span] = row

    def _add_unfolded(self, name: str, found: Counted, first: int, more: list[Tally]) -> None:
        for span, tally in found.unfolded.together(self._step).items():
            self._queues[name].open_from = min(self._queues[name].open_from, span)
            if 0 <= span - first < self._spans:
                more[span - first].add(tally)

    def _forget_before(self, first: int) -> None:
        old = [span for span in self._totals if span < first]
        for span in old:
            del self._totals[span]
        if old:
            for queue in self._queues.values():
                for span in old:
                    queue.rows.pop(span, None)

    def _take_out(self, queue: _Queue) -> None:
        for span, row in queue.rows.items():
            self._count(span, row, -1)

    def _count(self, span: int, row: bytes, sign: int) -> None:
        """Add what a row says to the sum of its span, or take it away."""
        its = decode(row, span) if row else None
        if its is None:
            return
        total = self._totals.setdefault(span, Tally())
        for own, numbers in (
            (total.counts, its.counts),
            (total.run, its.run),
            (total.wait, its.wait),
            (total.attempts, its.attempts),
        ):
            _add(own, numbers, sign)
        total.run_total += sign * its.run_total
        total.wait_total += sign * its.wait_total


def _add(own: dict[Any, int], its: Mapping[Any, int], sign: int) -> None:
    for what, number in its.items():
        own[what] = own.get(what, 0) + sign * number
