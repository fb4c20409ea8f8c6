"""ChangingQueues: queues that a worker begins to work at, or lets go of, while it works: a supervisor found them by a glob.

Any thread may say which; the worker takes it in between two tasks.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Protocol

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.subscription import Subscription

log = logging.getLogger("hotqueue.worker")


class Changing(Protocol):
    """A worker whose queues may change; see `Worker`."""

    shared: Shared
    subscriptions: list[Subscription]

    def wake(self) -> None: ...

    def begin_at(self, number: int, registry: Registry) -> Subscription: ...

    def register_late(self, subscriptions: list[Subscription]) -> None: ...

    def end_at(self, subscription: Subscription) -> None: ...


class ChangingQueues:
    """The queues of one worker that come and go."""

    def __init__(self, worker: Changing) -> None:
        self._worker = worker
        self._changes: deque[tuple[int, Registry | None]] = deque()
        self._leaving: set[int] = set()

    def adopt(self, number: int, registry: Registry) -> None:
        """Have the worker work at a queue, under a number that is the next or was left; for any thread."""
        self._changes.append((number, registry))
        self._worker.wake()

    def let_go(self, number: int) -> None:
        """Have the worker leave a queue as soon as it has nothing of it in hand; for any thread."""
        self._changes.append((number, None))
        self._worker.wake()

    def take_in(self) -> None:
        """Do what others have said; in the worker's thread."""
        if not (self._changes or self._leaving):
            return
        new: list[Subscription] = []
        while self._changes:
            number, registry = self._changes.popleft()
            if registry is None:
                self._leaving.add(number)
            elif number in self._leaving:  # it has not left yet
                self._leaving.discard(number)
                self._worker.subscriptions[number].may_have_tasks = True
            else:
                new.append(self._worker.begin_at(number, registry))
        if new:
            self._worker.register_late(new)
        for number in list(self._leaving):
            self._leave(self._worker.subscriptions[number])

    def _leave(self, subscription: Subscription) -> None:
        if subscription.has_left or not subscription.is_empty_handed:
            return
        self._leaving.discard(subscription.index)
        self._worker.end_at(subscription)
        self._worker.shared.left_queue(self._worker, subscription.index)


def deregister(subscription: Subscription, worker: str) -> None:
    """Strike a worker off a queue that it leaves; if that cannot be, its lease runs out."""
    try:
        many_queues.deregister([subscription.registry.broker], worker)
    except HotQueueError as error:
        log.debug("could not leave queue %s: %s", subscription.name, error)
