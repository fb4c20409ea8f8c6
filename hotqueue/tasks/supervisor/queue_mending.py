"""What is looked for in a queue now and then, as no sweep shows it: tasks that stand nowhere, lost steps, what is past."""

from __future__ import annotations

import logging
import random
import time

from hotqueue.plurals import plural
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.relay import forget_sources
from hotqueue.tasks.supervisor.queue_schedules import QueueSchedules
from hotqueue.tasks.supervisor.queue_statistics import QueueStatistics
from hotqueue.tasks.supervisor.queue_steps import QueueSteps

log = logging.getLogger("hotqueue.worker")

AUDIT_EVERY = 5.0  # seconds between two looks for tasks that stand nowhere
FREE_EVERY = 10.0  # seconds between two looks for ids of ended tasks that are about to be forgotten
SOURCES_EVERY = 3600.0  # seconds between two looks for other queues that nothing comes from any more
TRIM_EVERY = 600.0  # seconds between two looks for counters of minutes long past, owners that are no tasks, lost ends


class QueueMending:
    """The looks at one queue; each is taken when it is time, however often it is asked for.

    Where `sharers` processes look in turns, each does so as much more seldom.
    """

    def __init__(self, broker: Broker, statistics: QueueStatistics, schedules: QueueSchedules) -> None:
        self._broker = broker
        self._statistics, self._schedules = statistics, schedules
        self._audited = Audit(broker)
        self._steps = QueueSteps(broker)
        self._audit_at = time.monotonic() + random.uniform(1, AUDIT_EVERY)
        self._free_at = 0.0
        self._sources_at = time.monotonic() + random.uniform(1, SOURCES_EVERY)
        self._trim_at = time.monotonic() + random.uniform(1, TRIM_EVERY)

    def audit(self, sharers: int) -> None:
        """Look for tasks that stand nowhere, and restore them."""
        if time.monotonic() < self._audit_at:
            return
        self._audit_at = time.monotonic() + AUDIT_EVERY * sharers
        if restored := self._audited.portion():
            text = "queue %s: %s nowhere (was one of its keys deleted?); what was restored runs again"
            log.error(text, self._broker.name, plural(restored, "task stood", "tasks stood"))

    def free(self, sharers: int) -> None:
        """Look for ids of ended tasks that are about to be forgotten."""
        if time.monotonic() >= self._free_at:
            self._free_at = time.monotonic() + FREE_EVERY * sharers
            self._broker.free_done()

    def look_at_sources(self, now: int) -> None:
        """Look for other queues that nothing comes from any more.

        Args:
            now: server time in ms.
        """
        if time.monotonic() >= self._sources_at:
            self._sources_at = time.monotonic() + SOURCES_EVERY
            forget_sources(self._broker, now)

    def look_at_steps(self, sharers: int) -> None:
        """Look for steps that wait for what nobody will tell them."""
        self._steps.look(sharers)

    def look_at_results(self) -> None:
        """Go on to look for results that would stay for ever, where steps were lost."""
        self._steps.look_at_results()

    def trim(self, minute: int, sharers: int) -> None:
        """Look for what is past, or lost.

        Args:
            minute: server time in minutes.
        """
        if time.monotonic() < self._trim_at:
            return
        self._trim_at = time.monotonic() + TRIM_EVERY * sharers
        self._broker.trim_stats(minute - 24 * 60)
        self._statistics.trim(minute * 60)
        self._broker.mend_owners()
        self._broker.ask_again()
        self._steps.look(sharers)  # also where there are no tasks, as their key was deleted
        if self._broker.has_schedules():
            self._schedules.mend()
