"""The waiting steps of one queue, as this process looks after them: what nobody will tell any more that it may begin is ended."""

from __future__ import annotations

import logging
import random
import time

from hotqueue.plurals import plural
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.lost_steps import LostSteps
from hotqueue.tasks.broker.unowned_results import UnownedResults

log = logging.getLogger("hotqueue.worker")
LOOK_EVERY = 30.0  # seconds between two looks


class QueueSteps:
    """The waiting steps of one queue."""

    def __init__(self, broker: Broker) -> None:
        self._name, self._lost = broker.name, LostSteps(broker.store, broker.name)
        self._unowned = UnownedResults(broker.store, broker.name)
        self._look_at = time.monotonic() + random.uniform(1, LOOK_EVERY)

    def look(self, sharers: int = 1) -> None:
        """End lost steps, if it is time; where there were some, look for results as well that were kept for steps.

        Args:
            sharers: how many processes do so in turns.
        """
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY * sharers
        if ended := self._lost.end():
            text = "queue %s: %s failed, which waited for what is not known any more (was one of its keys deleted?)"
            log.error(text, self._name, plural(ended, "step"))
            self._unowned.begin()
            self.look_at_results()

    def look_at_results(self) -> None:
        """Go on to look for results that nobody owns and that would stay for ever, if that was begun."""
        if expired := self._unowned.portion():
            text = "queue %s: %s kept for steps that are not known any more; kept for an hour from now on"
            log.warning(text, self._name, plural(expired, "result was", "results were"))
