"""When something is to be raised in this thread from outside, such as its task's soft time limit.

In a thread other than the main one Python raises it between two byte codes, so whatever blocks has to come back by then. What
waits in our code asks here for how long it may block in one go. Knows nobody who raises, and nobody who waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

A_WHILE = 60.0  # seconds that a wait without an end takes in one go
AFTER = 0.005  # seconds that a wait ends after the moment: what is raised is there then, or it waits as long once more

_thread = threading.local()  # .moments: when things are to come, and what tells whether they have


@contextmanager
def expected(at: float, has_come: Callable[[], bool]) -> Iterator[None]:
    """Have waits of this thread, inside the body, come back at `at` (monotonic), and then every few moments until it has come.

    Args:
        has_come: tells whether what was to come was raised, however late, or never will be.
    """
    before = getattr(_thread, "moments", ())
    _thread.moments = (*before, (at, has_come))
    try:
        yield
    finally:
        _thread.moments = before


def within(seconds: float | None) -> float:
    """Return for how long this thread may block in one go: `seconds` (None: a while), or until something is raised in it."""
    wanted = A_WHILE if seconds is None else seconds
    moments: list[float] = [at for at, has_come in getattr(_thread, "moments", ()) if not has_come()]
    if not moments:
        return wanted
    return min(wanted, max(min(moments) - time.monotonic(), 0) + AFTER)
