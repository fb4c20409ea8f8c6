"""Waiting for a condition, the only way a test here lets time pass."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POLL = 0.005  # seconds


def allowed(seconds: float) -> float:
    """Return how long something may take that takes `seconds` at most on a machine which is not overloaded."""
    return seconds * max(1.0, max(os.getloadavg()[0], _runnable()) / (os.cpu_count() or 1))


def _runnable() -> int:
    """Return how many threads want to run just now: the average over a minute is late to tell that others have begun to work."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except OSError:
        return 0


def wait_until(condition: Callable[[], T], timeout: float = 10, what: str = "") -> T:
    """Call `condition` until it returns something true, and return that.

    Args:
        timeout: seconds after which the wait has failed; more of them on an overloaded machine.
        what: what is waited for, for the message; by default the source line of the condition.

    Raises:
        AssertionError: says what did not come true, and what the condition returned last.
    """
    began = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - began > timeout and time.monotonic() - began > allowed(timeout):
            raise AssertionError(f"not true within {timeout} s: {what or _source(condition)} (last: {found!r})")
        time.sleep(POLL)
    return found


def _source(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
