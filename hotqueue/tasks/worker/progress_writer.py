"""ProgressWriter: what the tasks of one queue report, written ten times a second for each at most, the last of it always.

The first report of a while is written where it is made; what comes soon after it, by a thread that sleeps while there is nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from hotqueue.errors import STORE_ERRORS
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main
from hotqueue.tasks.wire.run_reports import Line, Lines

EVERY = 0.1  # seconds between two writes of one task
AGAIN = 1.0  # seconds after which a write is tried again that failed

Write = Callable[[str, dict[str, Any]], None]  # id and what it says → published


class _Reported:
    """What one task has said, and nobody has written."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # of writing, so that nothing overtakes what came after it
        self.guard = threading.Lock()  # of what is below; never held while something is written
        self.latest: dict[str, Any] = {}
        self.lines: Lines | None = None
        self.next_at = 0.0

    def add(self, said: Mapping[str, Any]) -> None:
        with self.guard:
            self.latest |= said

    def take(self) -> dict[str, Any]:
        with self.guard:
            said, self.latest = self.latest, {}
            return {**said, "log": self.lines.encode()} if self.lines is not None and "log" in said else said

    def give_back(self, said: Mapping[str, Any]) -> None:
        with self.guard:
            self.latest = {**said, **self.latest}


class ProgressWriter:
    """What the running tasks of one queue report.

    Attributes:
        open: ids of running tasks that have reported something.
    """

    def __init__(self, write: Write) -> None:
        self._write_to = write
        self.open: dict[str, _Reported] = {}
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._changing = threading.Lock()  # of whether there is a thread

    def log(self, task_id: str, line: Line, earlier: Callable[[], bytes]) -> None:
        """Take a line that a task logs; raises as `report`.

        Args:
            earlier: returns what runs of the task before this one have logged.
        """
        reported = self.open.setdefault(task_id, _Reported())
        if reported.lines is None:
            kept = Lines(earlier() if line[1] > 1 else b"")
            with reported.guard:
                reported.lines = reported.lines or kept  # two threads of a task may log at once
        with reported.guard:
            reported.lines.add(line)
        reported.add({"log": None})
        try:
            if not reported.lock.locked():  # else somebody waits for the server: one is enough
                self._write(task_id, reported)
        except STORE_ERRORS:
            reported.next_at = time.monotonic() + AGAIN  # by the thread: the next line does not wait
            raise
        finally:
            self._have_written(reported)

    def report(self, task_id: str, said: Mapping[str, Any]) -> None:
        """Take what a task reports; raises what writing it does, where it is written at once."""
        reported = self.open.setdefault(task_id, _Reported())
        reported.add(said)
        if time.monotonic() >= reported.next_at:
            self._write(task_id, reported)
        self._have_written(reported)

    def _have_written(self, reported: _Reported) -> None:
        """Have what is left written by a thread."""
        if not reported.latest:
            return
        with self._changing:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_late, name="hotqueue-progress", daemon=True)
                self._thread.start()
        self._awake.set()

    def end(self, task_id: str) -> None:
        """Write what is left of a task that has ended; how it ended is not held up by an error of that."""
        reported = self.open.pop(task_id, None)
        if reported is None:
            return
        self._awake.set()
        try:
            self._write(task_id, reported, is_last=True)
        except STORE_ERRORS:
            pass

    def drop(self) -> None:
        """Forget what is left: others have these tasks now."""
        self.open.clear()
        self._awake.set()

    def _write(self, task_id: str, reported: _Reported, is_last: bool = False) -> None:
        with reported.lock:
            if not reported.latest or (time.monotonic() < reported.next_at and not is_last):
                return
            said, reported.next_at = reported.take(), time.monotonic() + EVERY
            try:
                self._write_to(task_id, said)
            except STORE_ERRORS:
                reported.give_back(said)
                raise

    def _is_over(self) -> bool:
        """Tell whether no running task has reported anything: then the thread goes."""
        with self._changing:
            if not self.open:
                self._thread = None
            return self._thread is None

    def _write_late(self) -> None:
        leave_ctrl_c_to_main()
        while not self._is_over():
            left = [(reported.next_at, task_id, reported) for task_id, reported in list(self.open.items()) if reported.latest]
            if not left:
                self._awake.wait()
                self._awake.clear()
                continue
            at, task_id, reported = min(left, key=lambda each: each[0])
            time.sleep(max(0.0, at - time.monotonic()))
            if self.open.get(task_id) is not reported:
                continue
            try:
                self._write(task_id, reported)
            except STORE_ERRORS:  # the next report, or the end, says it
                reported.next_at = time.monotonic() + AGAIN
