"""Orphans: processes whose parents died, which PID 1 inherits (a container without an init) and has to collect."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

ORPHANED = 5.0  # seconds after which nobody waits for a dead process any more


class Orphans:
    """Collects them, where this process is PID 1.

    Only what has been dead for a while is collected: a thread of ours may wait for a process that it started itself.
    """

    def __init__(self) -> None:
        self._is_ours = os.getpid() == 1
        self._dead: dict[int, float] = {}
        self._next = 0.0

    def collect(self, own: Sequence[int]) -> None:
        """Look once a second; leave the pids in `own` alone."""
        now = time.monotonic()
        if not self._is_ours or now < self._next:
            return
        self._next = now + 1.0
        self._dead = {pid: self._dead.get(pid, now) for pid in _zombies() if pid not in own}
        for pid, since in self._dead.items():
            if now - since >= ORPHANED:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def _zombies() -> Iterator[int]:
    import glob

    for thread in glob.glob("/proc/self/task/*/children"):
        with contextlib.suppress(OSError), open(thread) as file:
            for pid in file.read().split():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stat:
                    if stat.read().rpartition(b")")[2].split()[0] == b"Z":
                        yield int(pid)
