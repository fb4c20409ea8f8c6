"""Outages: which servers are known to be away, so that a process says so once.

Whoever notices writes the lines: none is written here.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable

from hotqueue.store.translation import FULL


class Outages:
    """Those that the workers of one process have noticed; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noticed: dict[Hashable, set[object]] = {}
        self._over: dict[Hashable, set[object]] = {}  # who has had an answer since, while others have not
        self._said: dict[Hashable, set[str]] = {}

    def begin(self, where: Hashable, who: object, why: str) -> bool:
        """Note that a server does not answer a worker; tell whether that is news.

        It is for the first that notices, for one that had an answer since, if something else keeps it from the server now, and
        once where the server is full: the connection that it closed before says nothing of that, and somebody has to act.
        """
        with self._lock:
            over, said = self._over.setdefault(where, set()), self._said.setdefault(where, set())
            is_full = FULL in why and not any(FULL in each for each in said)
            is_news = where not in self._noticed or is_full or (who in over and why not in said)
            over.discard(who)
            self._noticed.setdefault(where, set()).add(who)
            if is_news:
                said.add(why)
        return is_news

    def end(self, where: Hashable, who: object) -> bool:
        """Note that it answers a worker again; tell whether it was the last that had noticed."""
        with self._lock:
            waiting = self._noticed.get(where, set())
            if who not in waiting:
                return False
            waiting.discard(who)
            if waiting:
                self._over[where].add(who)
                return False
            del self._noticed[where], self._over[where], self._said[where]
        return True

    def forget(self, who: object) -> None:
        """Wait no more for a worker that has left."""
        for where in list(self._noticed):
            self.end(where, who)
