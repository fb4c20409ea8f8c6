"""Tasks that have ended, the last of them first, as rows of a list; without their payloads. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from hotqueue.monitor.row import Row
from hotqueue.store.store import Store


def rows(store: Store, queue: str, limit: int | None = None, before: int | None = None) -> Iterator[Row]:
    """Yield tasks of a queue that have ended, the last one first.

    Args:
        limit: how many at most.
        before: only those that ended before this instant, in ms.
    """
    yield from ()
