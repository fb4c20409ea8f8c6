"""KnownSpans: what rows of statistics say, as it was made of them at the last looks. Bounded; asks no store.

A row of a span that is over hardly ever changes, and is small; to make of it what charts show costs many times as much as to see
that it is the same one. It is found by all that it is made of, so that it is right whatever becomes of the store meanwhile.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hotqueue.monitor.statistics import Span, span_from
from hotqueue.tasks.rules.tally import Tally, decode

KEPT = 4000  # spans of the last looks, and once more as many
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)

_Key = tuple[int, int, bytes]  # a step, the number of a span, its row


class KnownSpans:
    """What rows say. Any thread may ask."""

    def __init__(self) -> None:
        self._young: dict[_Key, Span] = {}
        self._old: dict[_Key, Span] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def span(self, step: int, number: int, row: bytes, more: Tally | None = None) -> Span:
        """Return what happened in a span, of its row.

        Args:
            more: happened there too, and is not in the row yet.
        """
        if more is not None:
            return _made(step, number, row, more)
        key = step, number, row
        if (found := self._young.get(key)) is None:
            found = self._old.get(key) or _made(step, number, row, Tally())
            if len(self._young) >= KEPT:
                self._old, self._young = self._young, {}
            self._young[key] = found
        return found


def _made(step: int, number: int, row: bytes, more: Tally) -> Span:
    tally = decode(row, number) or Tally()
    tally.add(more)
    return span_from(BEGIN + timedelta(seconds=number * step), tally)
