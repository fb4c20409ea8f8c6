"""Children of a supervisor for tests: a process that only waits, with the table of one worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hotqueue.tasks.supervisor.children import Child, Slot
from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.running_table import Running, new_table


@contextmanager
def waiting_child(code: str = "import sys; sys.stdin.read()") -> Iterator[Child]:
    """Start a process that reads its input until this block ends; yield it as a child that works."""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    read, write = os.pipe()
    child = Child(process.pid, write, -1, [], [])
    child.is_ready = child.has_begun = True
    try:
        yield child
    finally:
        os.close(read)
        os.close(write)
        process.kill()
        process.communicate()


def slot_of(*running: str, kind: str = "s", time_limit: float | None = None, fate: int = 0) -> Slot:
    """Return a worker that runs some tasks."""
    table = new_table(4)
    row = Running(table)
    for task_id in running:
        row.start(task_id.encode(), time_limit, fate)
    return Slot("w", "", kind, PermitsHere(), table)
