"""Scrapes: the answers to whoever asks for metrics over HTTP, one a second however many ask. Knows no HTTP.

Needs the extra ``hotqueue[metrics]``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from hotqueue.errors import HotQueueError
from hotqueue.monitor import finding, metrics
from hotqueue.store.store import Store

KEPT = 1.0  # seconds for which one answer is good: it does not matter how many scrape
LOOK = 30.0  # seconds after which queues that appeared are seen
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Named:
    """The queues that names and globs stand for; none: all queues of the store."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self._store, self._names = store, names
        self._found: list[str] = []
        self._looked_at = -LOOK

    def __call__(self) -> list[str]:
        """Return their names."""
        if time.monotonic() - self._looked_at >= LOOK:
            self._found = finding.queues(self._store, self._names)[0]
            self._looked_at = time.monotonic()
        return self._found


class Scrapes:
    """The answers to scrapes, one at a time.

    Args:
        queues: returns the names of those that are told of.
    """

    def __init__(self, store: Store, queues: Callable[[], Sequence[str]]) -> None:
        self._store, self._queues = store, queues
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, tuple[bytes, str]]] = {}
        self._failure: tuple[float, HotQueueError] | None = None  # the last one, and when it was

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """Return what is to be answered, and its content type.

        Args:
            accept: the header of that name.

        Raises:
            HotQueueError: the server is away, or refuses us.
        """
        kind, asked_at = OPENMETRICS if "openmetrics" in accept else "", time.monotonic()
        with self._lock:
            if self._failure is not None and self._failure[0] >= asked_at:
                raise self._failure[1]  # we waited for somebody who waited in vain: not each of us in turn
            at, answer = self._answers.get(kind, (-KEPT, (b"", "")))
            if time.monotonic() - at >= KEPT:
                answer = self._read(kind)
                self._answers[kind] = time.monotonic(), answer
            return answer

    def _read(self, kind: str) -> tuple[bytes, str]:
        try:
            return metrics.text(self._store, self._queues(), kind)
        except HotQueueError as error:
            self._failure = time.monotonic(), error
            raise
