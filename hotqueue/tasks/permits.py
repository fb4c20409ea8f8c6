"""What a worker shares with its supervisor: the permit pipe, and the table of what runs. Pure but for those two.

A permit is one byte for each fetched task that has not been started; its value is the fetch number modulo 256. The worker
reads one before each start; the supervisor takes tasks back by draining them: as many as it got, from the tail. A byte is
had by one of them, so there is no lock and no race.
"""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

_HEAD = struct.Struct("=d")  # when progress was last made (monotonic seconds)
# started and hard deadline (monotonic seconds), 1 if it is the task's last delivery, bytes of the id; the id follows
_ROW = struct.Struct("=ddBB")
_ROWS_AT, _ID_AT = _HEAD.size, _ROW.size  # where rows begin; where in a row the id does
ID_BYTES = 200
ROW_BYTES = 224  # so that every number lies where it is written in one go


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


class Running:
    """What a worker runs right now, where others can read it even after its death.

    They read it at any time, so each number is written as a whole: `struct.pack_into` clears the place first, and a
    supervisor that looked just then would take its worker for stuck, or a task for one past its time limit.

    Args:
        state: the bytes of its presence file; one row a task at a time.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self._numbers = memoryview(state).cast("d")
        self._free = list(range((len(state) - _HEAD.size) // ROW_BYTES - 1, -1, -1))
        self.progress()

    @staticmethod
    def size(rows: int) -> int:
        """Return the bytes that a table of so many rows takes."""
        return _HEAD.size + rows * ROW_BYTES

    def progress(self) -> None:
        """Note that the worker turns."""
        self._numbers[0] = time.monotonic()

    def start(self, task_id: bytes, time_limit: float | None = None, is_last: bool = False) -> int:
        """Note that a task starts; return its row.

        Args:
            is_last: should its process die of it, it is not delivered again.
        """
        row = self._free.pop()
        now, size, numbers = time.monotonic(), len(task_id), self._numbers
        at = _ROWS_AT + row * ROW_BYTES
        self._state[at + _ID_AT - 2 : at + _ID_AT + size] = b"%c%c%b" % (is_last, size, task_id)
        at //= 8
        numbers[at + 1] = now + time_limit if time_limit else 0.0
        numbers[at] = now  # last: this makes it a row that counts
        return row

    def end(self, row: int) -> None:
        """Note that the task in a row ended."""
        self._numbers[(_ROWS_AT + row * ROW_BYTES) // 8] = 0.0
        self._free.append(row)


def read_progress(state: bytes) -> float:
    """Return when a state says that progress was last made."""
    return float(_HEAD.unpack_from(state, 0)[0])


def read_running(state: bytes) -> list[tuple[str, float, float]]:
    """Return (id, started, hard deadline or 0) of the tasks that a state says are running."""
    return [(task_id, started, deadline) for task_id, started, deadline, _ in _rows(state)]


def read_last(state: bytes) -> set[str]:
    """Return the ids of running tasks that are not delivered again, should their process die of them."""
    return {task_id for task_id, _, _, is_last in _rows(state) if is_last}


def _rows(state: bytes) -> Iterator[tuple[str, float, float, int]]:
    for at in range(_HEAD.size, len(state) - ROW_BYTES + 1, ROW_BYTES):
        started, deadline, is_last, size = _ROW.unpack_from(state, at)
        if started:
            begin = at + _ROW.size
            yield bytes(state[begin : begin + size]).decode("utf-8", "replace"), started, deadline, is_last
