"""PermitsHere: the permits of a worker that nobody outside of this process takes tasks back from; they need no pipe.

A worker in a program, `queue.run_worker()`, has these: they are of no use to a forked process, and leave no descriptors behind.
Each operation on the line is one of a deque's own, which no thread can come between; so a permit is had by one, as of a pipe.
"""

from __future__ import annotations

from collections import deque

from hotqueue.tasks.worker.start_permits import NUMBERS, PERMIT, StartPermits


class PermitsHere(StartPermits):
    """The permits of one worker, in memory of its process."""

    def __init__(self) -> None:
        self._line: deque[bytes] = deque()

    def add(self, number: int, count: int, queue: int = 0) -> None:
        """Put a permit in for each task of a fetch from one of the worker's queues."""
        self._line.extend([PERMIT.pack(queue, number % NUMBERS)] * count)

    def take(self, number: int, queue: int = 0) -> bool:
        """Take one of a fetch; False when its permits have been drained, though those of others may be in."""
        wanted = PERMIT.pack(queue, number % NUMBERS)
        try:
            permit = self._line.popleft()
        except IndexError:
            return False
        return permit == wanted or self._pick(wanted, 1, permit) == 1

    def _put(self, permits: list[bytes]) -> None:
        self._line.extend(permits)

    def _all(self) -> list[bytes]:
        found: list[bytes] = []
        try:
            while True:
                found.append(self._line.popleft())
        except IndexError:
            return found
