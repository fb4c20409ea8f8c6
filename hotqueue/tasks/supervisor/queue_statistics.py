"""The statistics of one queue, as this process looks after them: folds in what was told, drops what is old, notes deploys."""

from __future__ import annotations

import socket
import time

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.rules.tally import KEEP_ENDED

FINISHED_FOR = 0.5  # seconds at the end of this process


class QueueStatistics:
    """The statistics of one queue.

    Args:
        keep_ended: how many tasks that have ended can be listed; 0: none.
        code_version: of what the workers here run; where the queue has seen another one last, that is a deploy.
    """

    def __init__(self, broker: Broker, keep_ended: int = KEEP_ENDED, code_version: str = "") -> None:
        self._statistics = Statistics(broker.store, broker.name)
        self._keep_ended, self._version = keep_ended, code_version
        self._cursor, self._is_finished = b"0", False

    def fold(self) -> bool:
        """Fold in a portion of what waits; tell whether there may be more."""
        return self._statistics.fold(self._keep_ended)

    def is_to_be_finished(self) -> bool:
        """Tell, once, whether fewer ended tasks are to be listed than usual: somebody may not want the last to be seen."""
        was, self._is_finished = self._is_finished, True
        return not was and self._keep_ended < KEEP_ENDED

    def finish(self) -> None:
        """Fold in what waits, at the end of this process: nobody else may be here soon, and until then all of it is listed."""
        until = time.monotonic() + FINISHED_FOR
        while self.fold() and time.monotonic() < until:
            pass

    def note_deploy(self) -> None:
        """Note a deploy, if ours is another version than the last; once."""
        if self._version:
            self._statistics.deploy(self._version, f"worker on {socket.gethostname()}", if_new=True)
            self._version = ""

    def trim(self, now: int) -> None:
        """Drop some of what is older than it is kept, others with each call."""
        self._cursor = self._statistics.trim(self._cursor, now)
