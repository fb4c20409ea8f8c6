"""How much may travel: the one limit, and a file that keeps no more than that of what is pickled into it. Pure.

What goes beyond is counted and thrown away as it comes, so that refusing half a gigabyte takes no memory of its own.
"""

from __future__ import annotations

import io
from typing import Any

from hotqueue.plurals import plural

PAYLOAD_MAX = 64 * 1024 * 1024  # bytes: of a call's arguments, of its headers, of its result
CHECKPOINT_MAX = 256 * 1024  # bytes of what a run leaves for the next one: it may be written many times
LARGE = 256 * 1024  # bytes from which a copy, or the time on the wire, is worth a thought; results: `Subscription.settle_later`
READ_BYTES = 4 * 1024 * 1024  # what one call takes in hand of what others have sent: tasks to fetch, to promote, to revive
SMALL_TASK = 16 * 1024  # bytes up to which so many tasks are fetched at once without a look at their sizes
DEAD_TASKS, DEAD_BYTES = 10_000, 256 * 1024 * 1024  # how much the dead list keeps
DISCARDED_BYTES = 64 * 1024 * 1024  # how much is kept of what was thrown away of it, of as many tasks at most, for five minutes


class TooLarge(Exception):
    """What was to travel has more bytes than may.

    Attributes:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"{in_words(size)} pickled, of at most {in_words(PAYLOAD_MAX)}")
        self.size = size


class Bounded:
    """A file to pickle into.

    Attributes:
        size: bytes written so far, kept or not.
    """

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        self.size = 0

    def write(self, data: Any) -> int:
        """Take in bytes, or only count them."""
        count = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        self.size += count
        if self.size <= PAYLOAD_MAX:
            self._kept.write(data)
        elif self._kept is not _NOTHING:
            self._kept = _NOTHING
        return count

    def content(self) -> bytes:
        """Return what was written.

        Raises:
            TooLarge: it was too much.
        """
        if self.size > PAYLOAD_MAX:
            raise TooLarge(self.size)
        return self._kept.getvalue()


_NOTHING = io.BytesIO()


def in_words(size: int) -> str:
    """Return a number of bytes as people say it."""
    if size < 1000 or (size > PAYLOAD_MAX and size - PAYLOAD_MAX < 1 << 16):  # so little over the limit shows in bytes alone
        return plural(size, "byte")
    unit, name = (1 << 10, "KB") if size < 1 << 20 else (1 << 20, "MB")
    return f"{size / unit:,.1f} {name}".replace(".0 ", " ")
