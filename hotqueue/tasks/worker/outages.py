"""Outages: which servers are known to be away, so that a process says so once.

Whoever notices writes the lines: none is written here.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Outages:
    """Those that the workers of one process have noticed; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noticed: dict[Hashable, set[object]] = {}

    def begin(self, where: Hashable, who: object) -> bool:
        """Note that a server does not answer a worker; tell whether it is the first that noticed."""
        with self._lock:
            is_first = where not in self._noticed
            self._noticed.setdefault(where, set()).add(who)
        return is_first

    def end(self, where: Hashable, who: object) -> bool:
        """Note that it answers a worker again; tell whether it was the last that had noticed."""
        with self._lock:
            waiting = self._noticed.get(where, set())
            if who not in waiting:
                return False
            waiting.discard(who)
            if waiting:
                return False
            del self._noticed[where]
        return True

    def forget(self, who: object) -> None:
        """Wait no more for a worker that has left."""
        for where in list(self._noticed):
            self.end(where, who)
