"""Reader: a thread that reads again and again, and says what it found; no answer that is late, or never comes, holds up a key.

Threads of textual are waited for at the end of the program; this one is left where it waits for a store that is away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

RARER = 10  # times as long as a read took, at least, passes before the next of the same: so it takes a tenth of one CPU at most


class Reader:
    """Reads until it is stopped.

    Args:
        read: what is done each time, in the thread.
        tell: called there with what was read, or with the error.
        every: seconds from one read to the next.
    """

    def __init__(self, read: Callable[[], Any], tell: Callable[[Any], None], every: float) -> None:
        self._read, self._tell, self._every = read, tell, every
        self._wake = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="hotwatch-reader", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def now(self) -> None:
        """Read at once, since something else is to be shown."""
        self._wake.set()

    def stop(self) -> None:
        """Read no more; what is under way is not waited for."""
        self._is_over = True
        self._wake.set()

    def _run(self) -> None:
        while not self._is_over:
            self._wake.clear()
            began = time.monotonic()
            try:
                found = self._read()
            except Exception as error:  # a fault of ours is said as well, and what is shown stays
                found = error
            took = time.monotonic() - began
            if self._is_over:
                return
            self._tell(found)
            self._wake.wait(max(0.05, self._every - took))


class Turns:
    """When something is read again that is not read each time.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[object, float] = {}

    def is_due(self, what: object) -> bool:
        """Tell whether it is time, or has never been read."""
        return self._clock() >= self._due.get(what, 0.0)

    def time(self, what: object, every: float, read: Callable[[], Any]) -> Any:
        """Read something; the next time is not before `every` seconds, nor before RARER times what it took."""
        began = self._clock()
        try:
            return read()
        finally:
            took = self._clock() - began
            if len(self._due) > 100:
                self._due.clear()
            self._due[what] = began + max(every, min(RARER * took, 30.0))


def in_background(job: Callable[[], Any], tell: Callable[[Any], None]) -> None:
    """Do something in a thread, and say there what it returned, or its error."""

    def run() -> None:
        try:
            found = job()
        except Exception as error:
            found = error
        tell(found)

    threading.Thread(target=run, name="hotwatch-action", daemon=True).start()
