"""Waiting for a condition, or for nothing to happen: how a test here lets time pass. On purpose: tests.support.durations."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POLL = 0.005  # seconds
PATIENCE = 30.0  # seconds until something counts as not coming: none of them is lost where it comes
LONGEST = 90.0  # seconds that a wait may take on an overloaded machine: less than a test may


def allowed(seconds: float) -> float:
    """Return how long something may take that takes `seconds` at most on a machine which is not overloaded."""
    return seconds * max(1.0, max(os.getloadavg()[0], _runnable()) / (os.cpu_count() or 1))


def _runnable() -> int:
    """Return how many threads want to run just now: the average over a minute is late to tell that others have begun to work."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except OSError:
        return 0


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
    """Call `condition` until it returns something true, and return that.

    Args:
        timeout: seconds after which the wait has failed; more of them on an overloaded machine.
        what: what is waited for, for the message; by default the source line of the condition.

    Raises:
        AssertionError: says what did not come true, and what the condition returned last.
    """
    began = time.monotonic()
    while not (found := condition()):
        _check(began, timeout, what, condition, found)
        time.sleep(POLL)
    return found


async def await_until(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
    """Do as `wait_until` does, while others of this loop run."""
    began = time.monotonic()
    while not (found := condition()):
        _check(began, timeout, what, condition, found)
        await asyncio.sleep(POLL)
    return found


def _check(began: float, timeout: float, what: str, condition: Callable[[], object], found: object) -> None:
    waited = time.monotonic() - began
    if waited > timeout and waited > min(allowed(timeout), max(timeout, LONGEST)):
        raise AssertionError(f"not true within {timeout} s: {what or _source(condition)} (last: {found!r})")


def within(condition: Callable[[], T], seconds: float, every: float = POLL) -> T:
    """Call `condition` until it returns something true, for so many seconds at most; return what it returned last."""
    ends = time.monotonic() + seconds
    while not (found := condition()) and (left := ends - time.monotonic()) > 0:
        time.sleep(min(every, left))
    return found


def holds_for(condition: Callable[[], object], seconds: float, what: str = "", every: float = POLL) -> None:
    """Give what must not happen the time to happen: call `condition` all the while, at the end too, and fail when it is not true.

    Args:
        seconds: how long it has to be true.
        what: what has to stay true, for the message; by default the source line of the condition.
        every: seconds between calls.

    Raises:
        AssertionError: at once when the condition returns something that is not true.
    """
    began = time.monotonic()
    ends = began + seconds
    while True:
        is_last = time.monotonic() >= ends
        if not (found := condition()):
            after = f"{time.monotonic() - began:.2f} s"
            raise AssertionError(f"not true any more after {after}: {what or _source(condition)} (last: {found!r})")
        if is_last:
            return
        time.sleep(max(0.0, min(every, ends - time.monotonic())))


def _source(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
