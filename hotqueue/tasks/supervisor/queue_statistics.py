"""The statistics of one queue, as this process looks after them: folds in what was told, drops what is old, notes deploys."""

from __future__ import annotations

import socket
import time

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.rules.tally import KEEP_ENDED

FOLDED_AT_ONCE = 20  # portions of what was told that a sweep counts
FOLDED_FOR = 0.3  # seconds for which it goes on, where there are more


class QueueStatistics:
    """The statistics of one queue.

    Args:
        keep_ended: how many tasks that have ended can be listed; 0: none.
        code_version: of what the workers here run; where the queue has seen another one last, that is a deploy.
    """

    def __init__(self, broker: Broker, keep_ended: int = KEEP_ENDED, code_version: str = "") -> None:
        self._statistics = Statistics(broker.store, broker.name)
        self._keep_ended, self._version = keep_ended, code_version
        self._cursor = b"0"

    def fold(self) -> None:
        """Fold in what waits, as much as a sweep has time for."""
        until, portions = time.monotonic() + FOLDED_FOR, 0
        while self._statistics.fold(self._keep_ended):
            portions += 1
            if portions >= FOLDED_AT_ONCE and time.monotonic() > until:
                return

    def note_deploy(self) -> None:
        """Note a deploy, if ours is another version than the last; once."""
        if self._version:
            self._statistics.deploy(self._version, f"worker on {socket.gethostname()}", if_new=True)
            self._version = ""

    def trim(self, now: int) -> None:
        """Drop some of what is older than it is kept, others with each call."""
        self._cursor = self._statistics.trim(self._cursor, now)
