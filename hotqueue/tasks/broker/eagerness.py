"""Eagerness: who of many that hear the same ring asks at once, and who later, so that few do of however many. No I/O.

Nobody knows how many hear it. Each judges by its luck: who came too late is less eager the next time, who came in time more. So
about three of all ask at once, and the others share the time after that.
"""

from __future__ import annotations

import random

LEAST = 0.01  # of rings that one asks for at once, at least
LESS, MORE = 0.7, 2.0  # times as eager after bad luck, and after good: about one in three that ask has good luck then
EACH = 0.01  # seconds between two of all those that ask later, about


class Eagerness:
    """How eager one listener is."""

    def __init__(self) -> None:
        self._share = 1.0

    @property
    def is_sure(self) -> bool:
        """True while nobody else seems to hear: what is heard need not be asked for, before something is done about it."""
        return self._share == 1.0

    def delay(self) -> float:
        """Return in how many seconds to ask for what a ring says: 0 for at once."""
        return 0.0 if random.random() < self._share else random.uniform(0, EACH / self._share)

    def was_late(self) -> None:
        """Note that others had been there."""
        self._share = max(LEAST, self._share * LESS)

    def was_in_time(self) -> None:
        """Note that nobody had."""
        self._share = min(1.0, self._share * MORE)
