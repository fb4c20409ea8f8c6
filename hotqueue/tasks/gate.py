"""Gate: lets one task run alone in a process whose workers otherwise run side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Gate:
    """A shared lock with one exclusive holder at a time; workers are named by themselves.

    Args:
        stop: set when nobody should wait any more.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._members = 0
        self._inside: set[Any] = set()
        self._wanted_by: Any = None
        self._changed = threading.Condition()

    def join(self) -> None:
        """Count one worker more."""
        with self._changed:
            self._members += 1

    @property
    def is_private(self) -> bool:
        """True while the process has a single worker, which is always alone."""
        return self._members < 2

    def is_wanted_by_another(self, worker: Any) -> bool:
        """Tell whether another worker waits for this one to run empty."""
        return self._wanted_by is not None and self._wanted_by is not worker

    def enter(self, worker: Any) -> bool:
        """Go in if nobody wants to be alone."""
        with self._changed:
            if self.is_wanted_by_another(worker):
                return False
            self._inside.add(worker)
            return True

    def leave(self, worker: Any) -> None:
        """Go out."""
        with self._changed:
            self._inside.discard(worker)
            self._changed.notify_all()

    def leave_if(self, worker: Any, is_empty: bool) -> None:
        """Go out if nothing runs any more."""
        if is_empty:
            self.leave(worker)

    @contextmanager
    def shared(self, worker: Any) -> Iterator[bool]:
        """Be inside for the body, after waiting for who wants to be alone; False when they still are after half a second."""
        if self.is_private:
            yield True
            return
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or not self.is_wanted_by_another(worker), timeout=0.5)
        if self._stop.is_set() or not self.enter(worker):
            yield False
            return
        try:
            yield True
        finally:
            self.leave(worker)

    @contextmanager
    def exclusive(self, worker: Any, alive: Callable[[], object] = lambda: None) -> Iterator[bool]:
        """Be alone for the body, once the others have run empty; False when another is, or wants to be.

        Args:
            alive: called now and then while waiting, since waiting is not being stuck.
        """
        with self._changed:
            if self._wanted_by is not None:
                yield False
                return
            self._wanted_by = worker
        try:
            with self._changed:
                while not self._changed.wait_for(lambda: self._stop.is_set() or not (self._inside - {worker}), timeout=0.5):
                    alive()
            yield not self._stop.is_set()
        finally:
            with self._changed:
                self._wanted_by = None
                self._changed.notify_all()
