"""Other workers on this host, by their presence files: do they live, what did the dead run.

A dead one's file stays until everybody has seen it.
"""

from __future__ import annotations

import threading
import time

from hotqueue import presence
from hotqueue.tasks.broker.broker import Broker

OLD = 3600.0  # seconds after which a dead worker's file is nobody's affair: whoever was to remove it died too
REMEMBERED = 150.0  # seconds a dead worker's file stays: longer than any lease


class Neighbours:
    """What one process knows of other workers' files; for any thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._reaped: dict[tuple[str, str], float] = {}
        self._tidy_at = time.monotonic() + REMEMBERED
        self._lock = threading.Lock()

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
