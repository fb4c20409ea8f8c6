"""The waiting steps of one queue, as this process looks after them: what nobody will tell any more that it may begin is ended."""

from __future__ import annotations

import logging
import random
import time

from hotqueue.plurals import plural
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.lost_steps import LostSteps

log = logging.getLogger("hotqueue.worker")
LOOK_EVERY = 30.0  # seconds between two looks


class QueueSteps:
    """The waiting steps of one queue."""

    def __init__(self, broker: Broker) -> None:
        self._name, self._lost = broker.name, LostSteps(broker.store, broker.name)
        self._look_at = time.monotonic() + random.uniform(1, LOOK_EVERY)

    def look(self, sharers: int = 1) -> None:
        """End lost steps, if it is time.

        Args:
            sharers: how many processes do so in turns.
        """
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY * sharers
        if ended := self._lost.end():
            text = "queue %s: %s failed, which waited for what is not known any more (was one of its keys deleted?)"
            log.error(text, self._name, plural(ended, "step"))
