"""Watchdog: ends tasks over their time limits and processes that are stuck; warns of long imports.

What it ends is killed here; what its death means is in child_deaths.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from hotqueue.tasks.supervisor.children import Child, Slot
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.worker import task_log

log = logging.getLogger("hotqueue.worker")

LONG_IMPORT = 5.0  # seconds of importing after which a warning is due
FROZEN = 5.0  # seconds without progress and without a task after which others get what a worker fetched asleep
STUCK = 30.0  # seconds without progress and without a task after which a process is replaced


class Watchdog:
    """Looks at the children of one supervisor, a few times a second.

    Args:
        modules: that the children import, for a warning.
    """

    def __init__(self, pool: Processes, state: Phase, modules: Sequence[str]) -> None:
        self._pool = pool
        self._state = state
        self._modules = modules
        self._has_warned = False

    def look(self) -> None:
        """End what takes longer than it may."""
        self._warn_of_a_long_import()
        if self._state.stop_at is not None and time.monotonic() >= self._state.stop_at:
            for each in self._pool.all:
                each.end("", "shutdown")
        for each in self._pool.all:
            if each.leaves_by is not None and time.monotonic() >= each.leaves_by and each.ended_for is None:
                text = "process %d is ended: what it does at its exit (atexit, threads) takes longer than --grace"
                log.warning(text, each.pid)
                each.end("", "shutdown")
        if self._state.upkeep is None:
            return
        for each in self._pool.working:
            for slot in each.slots.values() if each.ended_for is None else ():
                self._look_at(each, slot, self._state.upkeep)

    def terminate(self, task_id: str) -> None:
        """End the process that runs a task, which was revoked."""
        for each in self._pool.all:
            if task_id in each.running():
                text = "task %s was revoked with terminate=True; its process %d is ended"
                log.warning(text, task_log.shown(task_id), each.pid, extra=task_log.about(task_id))
                each.end(task_id, "revoked")

    def _warn_of_a_long_import(self) -> None:
        now = time.monotonic()
        slow = [each for each in self._pool.all if each.is_spare and not each.is_ready and now - each.born > LONG_IMPORT]
        if slow and not self._has_warned:
            self._has_warned = True
            log.warning(
                "process %d is still importing %s after %g s: does it wait for a task while it is imported? Put what is to run "
                'only as a script under `if __name__ == "__main__":`',
                slow[0].pid,
                ", ".join(self._modules),
                LONG_IMPORT,
            )

    def _look_at(self, each: Child, slot: Slot, upkeep: Upkeep) -> None:
        running = slot.running()
        now = time.monotonic()
        for task_id, started, deadline in running:
            if deadline and now > deadline:
                text = "task %s runs for %.1f s, over its time_limit; its process %d is ended"
                about = task_log.about(task_id, seconds=round(now - started, 3))
                log.error(text, task_log.shown(task_id), now - started, each.pid, extra=about)
                each.end(task_id, "time limit")
                return
        if slot.idle_for() > STUCK:
            log.error(
                "process %d has made no progress for %.0f s though it runs no task; it is replaced", each.pid, slot.idle_for()
            )
            each.end("", "stuck")
        if slot.kind == "s":
            if slot.idle_for() > FROZEN:
                upkeep.take_back(slot.worker, slot.permits, each.queues)
            upkeep.take_back_if_dragging(slot.worker, slot.table[:], slot.permits, each.queues)
