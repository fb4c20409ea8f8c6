"""StartPermits: a pipe with a permit for each fetched task that a worker may still start. Pure but for that pipe.

A permit is eight bytes: which of the worker's queues the task is of, and the number of its fetch. The worker takes one before
each start; the supervisor takes tasks back by draining them: as many as it got, from the tail. A permit is had by one of them, so
there is no lock and no race. (The words are those of semaphores.)
"""

from __future__ import annotations

import errno
import os
import struct
from collections import Counter

PERMIT = struct.Struct("<HxxI")  # number of the queue, fetch number; whole ones in each page of the pipe, 8,192 in 64 KiB
NUMBERS = 1 << 32  # at a hundred fetches a second, a year of them


class StartPermits:
    """The permits of one worker.

    Args:
        pipe: (read, write) descriptors made by the supervisor before the fork, and closed by it.
    """

    def __init__(self, pipe: tuple[int, int]) -> None:
        self._read, self._write = pipe
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def add(self, number: int, count: int, queue: int = 0) -> None:
        """Put a permit in for each task of a fetch from one of the worker's queues."""
        self._write_all(PERMIT.pack(queue, number % NUMBERS) * count)

    def take(self, number: int, queue: int = 0) -> bool:
        """Take one of a fetch; False when its permits have been drained, though those of others may be in."""
        wanted = PERMIT.pack(queue, number % NUMBERS)
        try:
            permit = os.read(self._read, PERMIT.size)
        except BlockingIOError:
            return False
        except OSError:  # a task closed it: the worker sees that next (see repairs.py)
            return False
        return permit == wanted or self._pick(wanted, 1, permit) == 1

    def withdraw(self, number: int, count: int, queue: int = 0) -> None:
        """Take out permits that were put in for tasks that did not come; fewer when they were drained."""
        if count:
            self._pick(PERMIT.pack(queue, number % NUMBERS), count)

    def withdraw_all(self, queue: int) -> int:
        """Take out all permits for tasks of a queue; return how many there were."""
        found = self._all()
        others = [permit for permit in found if PERMIT.unpack(permit)[0] != queue]
        if others:
            self._put(others)
        return len(found) - len(others)

    def _pick(self, wanted: bytes, count: int, first: bytes = b"") -> int:
        """Take out up to so many of one fetch, which others stand before; return how many there were.

        Whoever drains meanwhile finds less than there is, and comes again: for him a worker drags for longer than that.
        """
        others = []
        had = 0
        for permit in ([first] if first else []) + self._all():
            if permit == wanted and had < count:
                had += 1
            else:
                others.append(permit)
        if others:
            self._put(others)
        return had

    def _put(self, permits: list[bytes]) -> None:
        self._write_all(b"".join(permits))

    def _write_all(self, permits: bytes) -> None:
        try:
            os.write(self._write, permits)
        except OSError as error:  # as in `take`: what has no permit is not started here
            if error.errno != errno.EBADF:
                raise

    def _all(self) -> list[bytes]:
        try:
            data = os.read(self._read, 1 << 16)
        except OSError:
            return []
        return [data[at : at + PERMIT.size] for at in range(0, len(data), PERMIT.size)]

    def drain(self) -> Counter[tuple[int, int]]:
        """Take all; return how many for each queue and fetch."""
        return Counter(PERMIT.unpack(permit) for permit in self._all())
