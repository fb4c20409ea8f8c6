"""The permit pipe between a worker and its supervisor. Pure but for that pipe.

A permit is one byte for each fetched task that has not been started; its value is the fetch number modulo 256. The worker
reads one before each start; the supervisor takes tasks back by draining them: as many as it got, from the tail. A byte is
had by one of them, so there is no lock and no race.
"""

from __future__ import annotations

import os
from collections import Counter


class Permits:
    """The permit pipe of one worker.

    Args:
        pipe: (read, write) descriptors made by the supervisor before the fork; a pipe of its own if None.
    """

    def __init__(self, pipe: tuple[int, int] | None = None) -> None:
        self._read, self._write = pipe or os.pipe()
        self._is_own = pipe is None
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def __del__(self) -> None:
        # Not sooner: whoever keeps a worker in order may still drain them, and numbers of descriptors are used again.
        if getattr(self, "_is_own", False):
            os.close(self._read)
            os.close(self._write)

    def add(self, number: int, count: int) -> None:
        """Put a permit in for each task of a fetch."""
        os.write(self._write, bytes([number % 256]) * count)

    def take(self, number: int) -> bool:
        """Take one of a fetch; False when its permits have been drained, though those of the next may be in already."""
        try:
            permit = os.read(self._read, 1)
        except BlockingIOError:
            return False
        except OSError:  # a task closed it: the worker sees that next (see repairs.py)
            return False
        if permit and permit[0] == number % 256:
            return True
        os.write(self._write, permit)
        return False

    def withdraw(self, count: int) -> None:
        """Take out permits that were put in for tasks that did not come; fewer when they were drained."""
        try:
            if count:
                os.read(self._read, count)
        except BlockingIOError:
            pass

    def drain(self) -> Counter[int]:
        """Take all; return how many for each fetch number modulo 256."""
        try:
            return Counter(os.read(self._read, 65536))
        except BlockingIOError:
            return Counter()
