"""The table of what a worker runs, shared with its supervisor; its copy in a presence file is for neighbours.

The table is memory that the supervisor makes before it forks. So it knows what runs, for how long, and whom to charge for a
death, whatever becomes of folders and disks. Pure but for that memory. See docs/decisions/0032.
"""

from __future__ import annotations

import math
import mmap
import struct
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from hotqueue.tasks.rules.history import SUSPECT
from hotqueue.tasks.worker.queue_marks import QueueMarks

_HEAD = struct.Struct("=d")  # when progress was last made (monotonic seconds)
# started and hard deadline (monotonic seconds), what becomes of it (`history.fate`), bytes of the id; the id follows
_ROW = struct.Struct("=ddBB")
_ROWS_AT, _ID_AT = _HEAD.size, _ROW.size  # where rows begin; where in a row the id does
ID_BYTES = 200
ROW_BYTES = 224  # so that every number lies where it is written in one go


class _Row(NamedTuple):
    id: str
    started: float
    deadline: float
    fate: int


def new_table(rows: int) -> mmap.mmap:
    """Return an empty table of so many rows that a process shares with those that it forks from now on."""
    return mmap.mmap(-1, Running.size(rows))


class Running:
    """What a worker runs right now, where others can read it even after its death.

    They read it at any time, so each number is written as a whole: `struct.pack_into` clears the place first, and a
    supervisor that looked just then would take its worker for stuck, or a task for one past its time limit.

    Args:
        table: the bytes of the table; one row a task at a time.
        marks: of the queues that its process has fetched from.
    """

    def __init__(self, table: Any, marks: QueueMarks | None = None) -> None:
        self.table, self.marks = table, marks or QueueMarks()
        self._numbers = memoryview(table).cast("d")
        self._written = [(table, self._numbers)]
        self._free = list(range((len(table) - _HEAD.size) // ROW_BYTES - 1, -1, -1))
        self.progress()

    @staticmethod
    def size(rows: int) -> int:
        """Return the bytes that a table of so many rows takes."""
        return _HEAD.size + rows * ROW_BYTES

    def copy_to(self, copy: Any) -> None:
        """Write what runs, and what will, to `copy` as well, and no more to the one before it; progress stays here."""
        copy[:] = self.table[:]
        self._written = [self._written[0], (copy, memoryview(copy).cast("d"))]

    def progress(self) -> None:
        """Note that the worker turns."""
        self._numbers[0] = time.monotonic()

    def leave(self) -> None:
        """Note that the worker has left, and turns no more; nothing is written to the copy any more."""
        self._numbers[0] = math.inf
        self._written = self._written[:1]

    def start(self, task_id: bytes, time_limit: float | None = None, fate: int = 0) -> int:
        """Note that a task starts; return its row.

        Args:
            fate: what becomes of it should its process die; see `history.fate`.
        """
        row = self._free.pop()
        now, size = time.monotonic(), len(task_id)
        at = _ROWS_AT + row * ROW_BYTES
        number, row_head = at // 8, b"%c%c%b" % (fate, size, task_id)
        for table, numbers in self._written:
            table[at + _ID_AT - 2 : at + _ID_AT + size] = row_head
            numbers[number + 1] = now + time_limit if time_limit else 0.0
            numbers[number] = now  # last: this makes it a row that counts
        return row

    def forgive(self, task_id: str) -> None:
        """Note of a task that runs that it would run again, should its process die. For its own thread."""
        for table, _ in self._written:
            for at in range(_ROWS_AT, len(table) - ROW_BYTES + 1, ROW_BYTES):
                started, _, fate, size = _ROW.unpack_from(table, at)
                if started and bytes(table[at + _ID_AT : at + _ID_AT + size]) == task_id.encode():
                    table[at + _ID_AT - 2 : at + _ID_AT - 1] = b"%c" % (fate & SUSPECT)

    def end(self, row: int) -> None:
        """Note that the task in a row ended."""
        for _, numbers in self._written:
            numbers[(_ROWS_AT + row * ROW_BYTES) // 8] = 0.0
        self._free.append(row)


def read_progress(table: bytes) -> float:
    """Return when a table says that progress was last made."""
    return float(_HEAD.unpack_from(table, 0)[0])


def read_running(table: bytes) -> list[tuple[str, float, float]]:
    """Return (id, started, hard deadline or 0) of the tasks that a table says are running."""
    return [(row.id, row.started, row.deadline) for row in _rows(table)]


def read_fates(table: bytes) -> dict[str, int]:
    """Return what becomes of each running task, should its process die; see `history.fate`."""
    return {row.id: row.fate for row in _rows(table)}


def _rows(table: bytes) -> Iterator[_Row]:
    for at in range(_HEAD.size, len(table) - ROW_BYTES + 1, ROW_BYTES):
        started, deadline, fate, size = _ROW.unpack_from(table, at)
        if started:
            begin = at + _ROW.size
            task_id = bytes(table[begin : begin + size]).decode("utf-8", "replace")
            yield _Row(task_id, started, deadline, fate)
