"""QueueMarks: at which of its queues a process has lately fetched something, in memory that it shares with its supervisor.

That renews leases there, until a sweep finds that nothing is held. Pure but for that memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any, TypeVar

PLACES = 1024  # of more queues, some share a place; then too many are looked at

T = TypeVar("T")


def new_marks() -> mmap.mmap:
    """Return memory for marks that a process shares with those that it forks from now on."""
    return mmap.mmap(-1, PLACES)


class QueueMarks:
    """The marks of one process.

    A mark is set after a fetch was carried out, and taken before the server is asked: so who takes it learns of what is held.

    Args:
        memory: that of `new_marks`; memory of this process alone if None.
    """

    def __init__(self, memory: Any = None) -> None:
        self._memory = bytearray(PLACES) if memory is None else memory

    def mark(self, queue: int) -> None:
        """Note that something was fetched from a queue, by its number; for any thread."""
        self._memory[queue % PLACES] = 1

    def take(self, queues: Sequence[T]) -> list[T]:
        """Return those of the process's queues, in its order, that were marked since this was last asked."""
        found = self._memory[:]
        if 1 not in found:
            return []
        places = {at for at, mark in enumerate(found) if mark}
        for at in places:
            self._memory[at] = 0
        return [queue for n, queue in enumerate(queues) if n % PLACES in places]
