"""Shares: which of many queues of one server this process looks after now; others, who have these queues too, see to the rest.

Agreed on at that server, once a second. Whoever cannot do that looks after all.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections.abc import Sequence

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.queue_upkeep import QueueUpkeep
from hotqueue.tasks.supervisor.quiet_queues import QuietQueues

FEW = 4  # queues that everybody looks after: to agree costs as much
AT_ONCE = 1000  # queues that one question is about
COUNTS = 3.0  # seconds without a question after which one is no more counted on
ALONE = 50  # queues that one who may not agree with others sweeps in a beat at least
ALONE_EVERY = 10.0  # seconds between two rounds of all queues by one who may not agree with others
ASK_AGAIN = 60.0  # seconds until it tries again to


class Shares:
    """What one process looks after of the queues of one server.

    Args:
        every: seconds between two sweeps of a queue.
        in_full: share of the queues that are swept though no task is in them.
    """

    def __init__(self, every: float, in_full: float) -> None:
        self._every, self._in_full = every, in_full
        self._name = secrets.token_hex(8)
        self._from = 0
        self._ask_at = 0.0
        self._table: Broker | None = None  # the queue beside which it is
        self._quiet: QuietQueues | None = None
        self.now: int | None = None

    def take(self, queues: Sequence[QueueUpkeep], ours: Sequence[QueueUpkeep]) -> list[QueueUpkeep]:
        """Return the queues to sweep beside `ours`, which this process sweeps in any case.

        Raises:
            ConnectionFailed: the server is away.
        """
        own = set(ours)
        self.now = None  # unless the server is asked
        others = [each for each in queues if each not in own]
        if len(queues) <= FEW or not others:
            return others
        self._table = min(queues, key=lambda each: each.broker.name).broker
        if not self._table.store.is_cluster:
            return self._in_use(self._agreed(self._table, others, ours))
        others = self._not_quiet(queues, others)
        return self._agreed(self._table, others, ours) if others else []

    def close(self) -> None:
        """Drop what connections are of ours alone."""
        if self._quiet is not None:
            self._quiet.close()

    def _not_quiet(self, queues: Sequence[QueueUpkeep], others: list[QueueUpkeep]) -> list[QueueUpkeep]:
        """Return those of the others in which there is something; they are few, and only these are worth agreeing on.

        Each of the rest has a full sweep when our workers are registered there anew.
        """
        if self._quiet is None:
            self._quiet = QuietQueues(queues[0].broker.store)
        quiet = self._quiet.among([each.broker for each in queues])
        return [each for each in others if each.broker not in quiet]

    def could_not_sweep(self, queues: Sequence[QueueUpkeep]) -> None:
        """Take back that queues were swept: it is no longer known that they are well."""
        first = self._table
        if queues and first is not None:
            key = keys.shares(first.name, "swept")
            with contextlib.suppress(HotQueueError):
                first.store.command(key, "ZREM", key, *(each.broker.name for each in queues))

    def _agreed(self, table: Broker, others: list[QueueUpkeep], ours: Sequence[QueueUpkeep]) -> list[QueueUpkeep]:
        if time.monotonic() < self._ask_at:
            return self._some(others, max(ALONE, int(len(others) * self._every / ALONE_EVERY)))
        ours = ours[:AT_ONCE]
        asked = [*ours, *self._some(others, AT_ONCE)]
        every = self._every * max(1.0, len(others) / AT_ONCE)
        try:
            brokers = [each.broker for each in asked]
            share = many_queues.share(table, brokers, self._name, int(1000 * (every + COUNTS)), int(1000 * every), len(ours))
        except HotQueueError as error:
            if isinstance(error, ConnectionFailed) and error.retry:
                raise
            self._ask_at = time.monotonic() + ASK_AGAIN
            return others
        self.now = share.now
        for each in asked:
            each.sharers = share.supervisors
        for number, before in share.before.items():
            asked[number].note_swept_before(before)
        return [asked[number] for number in share.before if number >= len(ours)]

    def _some(self, queues: list[QueueUpkeep], count: int) -> list[QueueUpkeep]:
        """Return so many, in turn."""
        if len(queues) <= count:
            return queues
        first = self._from % len(queues)
        self._from = first + count
        return [*queues[first:], *queues[:first]][:count]

    def _in_use(self, queues: list[QueueUpkeep]) -> list[QueueUpkeep]:
        if not queues:
            return []
        found = many_queues.need_upkeep([each.broker for each in queues])
        return [each for each, is_needed in zip(queues, found, strict=True) if is_needed or random.random() < self._in_full]
