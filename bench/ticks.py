"""Shared memory in which the tasks themselves note when they ran.

The driver and every worker process map one file. A note costs a fraction of a microsecond, asks nothing of Redis, is the
same for all contenders, and shows as well which tasks never ran, or ran twice.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

WARM_UP = 100  # calls before the clock starts; their tasks have the numbers behind the others
WARM_TRIPS = 10  # the same of round trips
ROW = 17  # bytes a task: two doubles and a counter


class Ticks:
    """The notes of tasks 0 … size - 1.

    Attributes:
        started, ended: time.monotonic() of the last run; `ended` only of tasks that take time.
        runs: how often each one ran.
    """

    def __init__(self, path: str | Path) -> None:
        with open(path, "r+b") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0))
        self.size = len(view) // ROW
        self.started = view[: 8 * self.size].cast("d")
        self.ended = view[8 * self.size : 16 * self.size].cast("d")
        self.runs = view[16 * self.size :]

    @classmethod
    def create(cls, path: str | Path, size: int) -> Ticks:
        """Make the file anew, all zero."""
        Path(path).unlink(missing_ok=True)  # a worker of the last measure may still map the old one
        with open(path, "wb") as file:
            os.truncate(file.fileno(), size * ROW)
        return cls(path)

    def count(self, first: int) -> int:
        """Return how many of the first `first` tasks have run."""
        return first - bytes(self.runs[:first]).count(0)

    def repeated(self, first: int) -> int:
        """Return how many runs there were too many."""
        return sum(runs - 1 for runs in bytes(self.runs[:first]) if runs > 1)

    def span(self, first: int, skip: float = 0.0) -> float:
        """Return the seconds from the first start to the last start, or end, of tasks that take time.

        Args:
            first: how many tasks there were.
            skip: which part of them is left out at the beginning.
        """
        started = sorted(at for at in self.started[:first] if at)
        return max(started[-1], max(self.ended[:first])) - started[int(first * skip)]

    def own(self, first: int) -> float:
        """Return which part of the time, from the first start to the last end, was the tasks' own; 1 for each that always ran."""
        pairs = zip(self.started[:first], self.ended[:first], strict=True)
        return sum(ended - started for started, ended in pairs) / self.span(first)

    def rate(self, first: int, skip: float = 0.1) -> float:
        """Return the tasks in a second, without the first ones: until then, some of the workers may still have been starting."""
        return (first - int(first * skip) - 1) / self.span(first, skip)
