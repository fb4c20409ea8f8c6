"""When something is to be raised in this thread from outside, such as its task's soft time limit.

In a thread other than the main one Python raises it between two byte codes, so whatever blocks has to come back by then. What
waits in our code asks here for how long it may block in one go. Knows nobody who raises, and nobody who waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

A_WHILE = 60.0  # seconds that a wait without an end takes in one go
LATE = 0.1  # seconds for which what is due may still be on its way
AFTER = 0.005  # seconds that a wait ends after the moment: what is raised is there then

_thread = threading.local()


@contextmanager
def expected(at: float) -> Iterator[None]:
    """Have waits of this thread, inside the body, come back at `at` (monotonic)."""
    before = getattr(_thread, "at", None)
    _thread.at = at if before is None else min(at, before)
    try:
        yield
    finally:
        _thread.at = before


def within(seconds: float | None) -> float:
    """Return for how long this thread may block in one go: `seconds` (None: a while), or until something is raised in it."""
    wanted = A_WHILE if seconds is None else seconds
    at = getattr(_thread, "at", None)
    if at is None:
        return wanted
    left = at - time.monotonic()
    return wanted if left < -LATE else min(wanted, max(left, 0) + AFTER)
