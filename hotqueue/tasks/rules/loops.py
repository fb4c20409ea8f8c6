"""Loops: how far the loops of one run have come, and when that is worth a write. Pure: it is told what time it is.

A run's loops have numbers in the order in which they begin. One inside of an item of another belongs to that item: when the
item ends, what is known of it goes, and its number is given again.
"""

from __future__ import annotations

BURST = 100  # items that are each written, however fast they are; as many again come back
INTERVAL = 0.01  # seconds for one to come back
SHARE = 10  # or so many times as long as the last write took, if that is more …
LONGEST = 1.0  # … up to this
WIDEST = 1000  # items at most that may end without a write


class Loop:
    """One loop of a run.

    Attributes:
        number: among the loops of the run.
        index: of the item that it is at, or is to begin with.
        is_out: True while an item of it is worked at.
    """

    def __init__(self, number: int, index: int) -> None:
        self.number = number
        self.index = index
        self.is_out = False


class Loops:
    """The loops of one run.

    Args:
        positions: of an earlier run: of its loops, by their numbers, the items that they were at.
    """

    def __init__(self, positions: tuple[int, ...] = ()) -> None:
        self._before = list(positions)
        self._begun: list[Loop] = []

    def begin(self) -> Loop:
        """Begin the next loop, where an earlier run of it got to."""
        number = len(self._begun)
        loop = Loop(number, self._before[number] if number < len(self._before) else 0)
        self._begun.append(loop)
        return loop

    def end_item(self, loop: Loop) -> None:
        """Note that an item has ended, and with it all loops inside of it.

        Raises:
            RuntimeError: the loop itself has gone that way: it is neither inside of another nor behind it.
        """
        if loop.number >= len(self._begun) or self._begun[loop.number] is not loop:
            raise RuntimeError(
                "loops over current_task.iterate() may be inside of one another, or one behind the other, not side by side"
            )
        loop.index, loop.is_out = loop.index + 1, False
        del self._begun[loop.number + 1 :], self._before[loop.number + 1 :]

    @property
    def are_at_an_item(self) -> bool:
        """True while an item of a loop is worked at."""
        return any(loop.is_out for loop in self._begun)

    @property
    def positions(self) -> tuple[int, ...]:
        """The items that the loops are at; of loops that have not begun again, as they were."""
        return (*(loop.index for loop in self._begun), *self._before[len(self._begun) :])


class Pace:
    """When the ends of items are written.

    Each, as long as they come no faster than `INTERVAL`, and `BURST` of them at a time; of faster ones so many together as end
    in that time. How many these may be, is written before: another run writes after each of them, so that a second death has
    nobody begin them a third time.

    Args:
        ahead: items that an earlier run may have begun without a write.
        now: monotonic seconds.
    """

    def __init__(self, ahead: int, now: float) -> None:
        self._again = ahead
        self._width, self._ended = 1, 0
        self._left, self._interval = float(BURST), INTERVAL
        self._counted_at = self._written_at = now

    def is_due(self, now: float) -> bool:
        """Tell, when an item has ended, whether to write that."""
        self._ended += 1
        return self._ended >= self._width or now - self._written_at >= self._interval

    def next(self, now: float) -> int:
        """Begin a write; return how many items may begin before the next one."""
        self._left = min(BURST, self._left + (now - self._counted_at) / self._interval) - 1
        self._counted_at = now
        self._again = max(0, self._again - self._ended)
        if self._again or self._left >= 1 or not self._ended:
            self._width = 1
        else:
            each = max(1e-9, (now - self._written_at) / self._ended)
            self._width = min(WIDEST, max(1, int(self._interval / each)))
        self._left = max(-1.0, self._left)
        return max(self._again, self._width)

    def written(self, began: float, now: float) -> None:
        """Note that a write has been made."""
        self._ended, self._written_at = 0, now
        self._interval = min(LONGEST, max(INTERVAL, SHARE * (now - began)))

    @property
    def is_behind(self) -> bool:
        """True while items have ended without a write."""
        return self._ended > 0
