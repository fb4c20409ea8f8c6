"""Pulse: what happened in the last minutes in each queue, read rarely, and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hotqueue.monitor import statistics
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.monitor.statistics import Series
from hotqueue.store.store import Store
from hotqueue.watch.reading import Turns

MINUTES = 15
EVERY = 5.0  # seconds between two readings of the minutes


@dataclass(frozen=True, slots=True)
class Beat:
    """What happened in one queue.

    Attributes:
        minutes: how many tasks ended in each, the last one going on.
        rate: how many a second, now.
        total, failed: how many ended, and of these failed, in these minutes.
        oldest: for how many seconds the oldest task waits.
    """

    minutes: tuple[int, ...] = ()
    rate: float | None = None
    total: int = 0
    failed: int = 0
    oldest: float | None = None


@dataclass
class Pulse:
    """What happened in all queues."""

    beats: dict[str, Beat] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)

    def of(self, queue: str) -> Beat:
        """Return what happened in a queue."""
        return self.beats.get(queue) or Beat()

    def read(self, store: Store, snapshot: Snapshot) -> None:
        """Read it, if it is time."""
        names = [queue.name for queue in snapshot.queues if not queue.is_newer]
        if self.turns.is_due("minutes") or any(name not in self.beats for name in names):
            self.turns.time("minutes", EVERY, lambda: self._read(store, names))

    def _read(self, store: Store, names: Sequence[str]) -> None:
        self.beats = {name: beat(statistics.series(store, name, spans=MINUTES), statistics.oldest(store, name)) for name in names}

    def total(self) -> tuple[float, int, int]:
        """Return how many tasks end a second in all queues, how many ended in these minutes, and how many of them failed."""
        some = self.beats.values()
        return sum(each.rate or 0.0 for each in some), sum(each.total for each in some), sum(each.failed for each in some)


def beat(series: Series, oldest: float | None) -> Beat:
    """Return what happened, of what is kept of each minute."""
    ended = [span.counts["succeeded"] + span.counts["failed"] for span in series.spans]
    begun = (datetime.now(UTC) - series.spans[-1].at).total_seconds()
    last = ended[-1] + (ended[-2] if len(ended) > 1 else 0)
    failed = sum(span.counts["failed"] for span in series.spans)
    return Beat(tuple(ended), last / max(1.0, 60 + begun), sum(ended), failed, oldest)
