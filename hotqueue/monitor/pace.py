"""Pace: work that nobody waits for leaves half of the time to what somebody does wait for, in the same process. Asks no store."""

from __future__ import annotations

import time

LONGEST = 0.1  # seconds of one rest


class Pace:
    """Rests for as long as was worked, whenever it is called, once nobody waits for the work any more.

    Args:
        waited_for: seconds from now on for which somebody does.
    """

    def __init__(self, waited_for: float = 0.0) -> None:
        self._since = time.monotonic()
        self._waited_for_until = self._since + waited_for

    def nobody_waits(self) -> None:
        """Have it rest from now on."""
        self._waited_for_until = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now > self._waited_for_until:
            time.sleep(min(LONGEST, now - self._since))
        self._since = time.monotonic()
