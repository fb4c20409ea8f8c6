"""Other workers on this host, by their presence files: do they live, what did the dead run.

A dead one's file stays until everybody has seen it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence

from hotqueue import presence
from hotqueue.tasks.broker.broker import Broker

OLD = 3600.0  # seconds after which a dead worker's file is nobody's affair: whoever was to remove it died too
LOOKS_EVERY = 0.5  # seconds between two looks at all files
SEARCHED = 30.0  # seconds for which one is looked for at most: where it is still registered then, its lease decides
AT_ONCE = 2000  # of them that are looked for in one go: files of very many may lie there
REMEMBERED = 150.0  # seconds a dead worker's file stays: longer than any lease


class Search:
    """Which of the dead have still to be looked for at the queues of one server."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # first looked for at (monotonic); inf: not yet, -inf: no more, they are nowhere

    def fresh(self, dead: Sequence[str]) -> list[str]:
        """Return some of the dead that may be registered at one of the queues, as far as we know: first those that died last."""
        there = set(dead)
        self._since = {worker: at for worker, at in self._since.items() if worker in there}
        self._since.update((worker, math.inf) for worker in dead if worker not in self._since)
        return [worker for worker, at in reversed(self._since.items()) if time.monotonic() - at < SEARCHED][:AT_ONCE]

    def searched(self, dead: Iterable[str], found: Iterable[str]) -> None:
        """Note that all queues were asked for these, and which were found: they are asked for again, until they are gone."""
        there = set(found)
        for worker in dead:
            self._since[worker] = min(self._since[worker], time.monotonic()) if worker in there else -math.inf


class Neighbours:
    """What one process knows of other workers' files; for any thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._reaped: dict[tuple[str, str], float] = {}
        self._dead: list[str] = []
        self._look_at = 0.0
        self._tidy_at = time.monotonic() + REMEMBERED
        self._lock = threading.Lock()

    def dead(self) -> list[str]:
        """Return those of this host that have died and left their files, of whatever queues."""
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOKS_EVERY
                self._dead = presence.dead_here(set(self._dead))
            return self._dead

    def where_is(self, broker: Broker, worker: str) -> tuple[str, str]:
        """Return where a worker's file is, and its supervisor, "" where it has none; asks once for each worker."""
        found = self._known.get(worker)
        if found is None:
            if len(self._known) > 10_000:
                self._known.clear()
            found = self._known[worker] = broker.where_is(worker)
        return found

    def note_reaped(self, folder: str, worker: str) -> None:
        """Note that what a dead worker held is put back, so that its file is removed in time."""
        with self._lock:
            self._reaped.setdefault((folder, worker), time.monotonic())

    def forget_reaped(self) -> None:
        """Remove what the dead left, but late: who looks after their other queues sees by it that they died, and of what."""
        now = time.monotonic()
        with self._lock:
            for reaped in [each for each, at in self._reaped.items() if now - at >= REMEMBERED]:
                del self._reaped[reaped]
                presence.forget(*reaped)
            if now >= self._tidy_at:  # not at the start: of a worker that died just before, its file tells what it ran
                self._tidy_at = now + OLD
                presence.tidy(OLD)
