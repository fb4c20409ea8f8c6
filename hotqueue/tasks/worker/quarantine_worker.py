"""The worker of a quarantine process: runs suspects of one queue, of either kind, one at a time.

It leaves when none is left, or when others have their turn. A quarantine process has one for each task that it may run side by
side. It never sleeps, since what is suspected later gets a process of its own; but where a suspect has to wait in its lane for a
slot, it looks again and again, so that the slot does not wait for the next process.
"""

from __future__ import annotations

import time

from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.sync_worker import SyncWorker

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.5  # seconds between two looks for a suspect that waits in its lane
TURN = 10.0  # seconds after which it begins nothing more: others, for which such a process is not, may wait for room for theirs


class QuarantineWorker(SyncWorker):
    """Runs suspects.

    Args:
        width: how many run side by side in this process; it fetches none that may run beside fewer, or beside twice as many.
    """

    kind = "x"
    _pause = 0.0  # before the next look for one that waits in its lane; 0: none does

    def __init__(self, shared: Shared, registries: list[Registry], permits: StartPermits, running: Running, width: int) -> None:
        self._width = width
        super().__init__(shared, registries, permits, running)

    def _new_incarnation(self) -> None:
        super()._new_incarnation()
        for subscription in self.subscriptions:
            subscription.session.width = self._width

    def _loop(self) -> None:
        until = time.monotonic() + TURN
        while not self.stopping and time.monotonic() < until and self.turn():
            pass

    def _look_around(self) -> bool:
        [subscription] = self.subscriptions
        if subscription.slow_settlements.is_full:
            self.idle.wait_woken(0.1)
            return True
        stepped = self.step(subscription, 1)
        if stepped is None:
            return False
        if subscription.unstarted:
            self._pause = 0.0
            self._work(subscription)
            return True
        if stepped.left:
            self._pause = FIRST_PAUSE
        if not self._pause:
            return False
        self.idle.wait_woken(self._pause)
        self._pause = min(LONGEST_PAUSE, 1.5 * self._pause)
        return True
