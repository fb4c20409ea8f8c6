"""The worker of a quarantine process: runs suspects of one queue, of either kind, one at a time.

It leaves when none is left, or when others have their turn. A quarantine process has one for each task that it may run side by
side. It never sleeps: what is suspected later gets a process of its own.
"""

from __future__ import annotations

import time

from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.sync_worker import SyncWorker

TURN = 10.0  # seconds after which it begins nothing more: others, for which such a process is not, may wait for room for theirs


class QuarantineWorker(SyncWorker):
    """Runs suspects.

    Args:
        width: how many run side by side in this process; it fetches none that may run beside fewer, or beside twice as many.
    """

    kind = "x"

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
        if self.step(subscription, 1) is None or not subscription.unstarted:
            return False
        self._work(subscription)
        return True
