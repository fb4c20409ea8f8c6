"""Place: one server, or node of a Cluster, as one worker works with it; what its thread does there.

Nothing here touches what the worker works at: what is found out, it takes in itself (several_servers.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.runtime.background import Background
from hotqueue.runtime.wake_pipe import readable
from hotqueue.store.store import Store
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.many_queues import Found
from hotqueue.tasks.broker.session import Step
from hotqueue.tasks.worker import task_log
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

SHORTEST, LONGEST = 0.02, 1.0  # seconds between two tries at a place that is away

Where = tuple[int, str]  # the store, and what it calls the place
T = TypeVar("T")

log = logging.getLogger("hotqueue.worker")


class FoundOut(NamedTuple):
    """What is known of a queue after its server came back."""

    subscription: Subscription
    held: Found  # what the worker holds there and has not in hand
    has_tasks: bool


class Place:
    """One server, or node of a Cluster, as one worker works with it.

    Args:
        where: the store and what it calls this place, the same for all workers of a process.
        worker: the worker; woken when the thread is done.

    Attributes:
        background: the thread, while there is one.
        deregistrations: what strikes the worker off queues that it has left, still to be done.
        asked: the queue whose step is under way; since when (monotonic).
        is_prompt: the last step was answered within a moment, so that the next one is waited for as long.
    """

    def __init__(self, where: Where, worker: Stepping) -> None:
        self.where = where
        self._worker = worker
        self.subscriptions: list[Subscription] = []
        self.background = Background(worker.wake)
        self.deregistrations: list[Callable[[], None]] = []
        self.asked: Subscription | None = None
        self.since = self._heard = 0.0
        self.is_prompt = True

    @property
    def heard(self) -> float:
        """When something was last heard of the step under way, or it was sent."""
        return max(self.since, self._heard)

    def has_answered(self, step: Step, seconds: float) -> bool:
        """Wait so long at most for the whole reply of the step under way."""
        if not (seconds or step.is_answered) and readable([step.fileno()], 0):
            self._heard = time.monotonic()
        return step.has_answered(seconds)

    @property
    def has_unsettled(self) -> bool:
        """True while there is something to settle here, or to put back."""
        return any(each.unsettled or each.unstarted or not each.slow_settlements.is_empty for each in self.subscriptions)

    def say_away(self, error: Exception) -> None:
        """Say once a process that this place does not answer."""
        if self._worker.shared.outages.begin(self.where, self._worker, str(error)):
            log.warning("%s; trying again until it answers, the other queues go on", error)

    def _say_back(self, subscriptions: Iterable[Subscription]) -> None:
        if self._worker.shared.outages.end(self.where, self._worker) and (names := [each.name for each in subscriptions]):
            log.info("%s answer%s again", task_log.queues(names), "s" * (len(names) == 1))

    def reach(self, cluster: Store) -> object:
        """Connect to a Cluster, which then says what nodes it has; None as of `_ask`."""
        client = self._ask(cluster.client)
        if client is not None:
            self._say_back(list(self.subscriptions))
        return client

    def learn_layout(self, cluster: Store) -> object:
        """Learn a Cluster's layout anew; None as of `_ask`."""
        return self._ask(cluster.learn_layout)

    def find(self, wanted: list[Subscription]) -> list[FoundOut]:
        """Find out what the worker holds of some of its queues, and where tasks wait, as soon as that can be had.

        Nothing once it is to leave.
        """
        found = self._ask(lambda: self._find_out(wanted))
        if found is not None:  # said here: the worker may be at a long task
            self._say_back(wanted)
        return found or []

    def _ask(self, ask: Callable[[], T]) -> T | None:
        """Ask until there is an answer; None once the worker is to leave and has nothing to settle there."""
        pause = SHORTEST
        while True:
            try:
                return ask()
            except ConnectionFailed as error:
                self.say_away(error)
            if self._worker.shared.stop.wait(pause):
                return None
            pause = min(LONGEST, 2 * pause)

    def _find_out(self, wanted: list[Subscription]) -> list[FoundOut]:
        """Register, recover and listen, as far as each is needed, at all queues of a place in one trip each."""
        try:
            found = self._registered([each for each in wanted if not each.is_registered])
            refused = {each.index for each, what in found if isinstance(what, HotQueueError)}
            new = {
                each.index for each, _ in found if not each.must_recover
            }  # one whose registration was lost may hold what it did
            found = [(each, what) for each, what in found if each.index in refused | new]
            found += self._recovered([each for each in wanted if each.index not in refused | new])
        except HotQueueError as error:
            if isinstance(error, ConnectionFailed) and error.retry:
                raise
            return [FoundOut(each, error, True) for each in wanted]
        to_ask = self._worker.to_be_asked(wanted) if wanted else ()
        return [FoundOut(each, self._listening(each, what), each.index in to_ask) for each, what in found]

    def _recovered(self, subscriptions: list[Subscription]) -> list[tuple[Subscription, Found]]:
        in_hand = [list(each.in_hand) for each in subscriptions]
        answers = many_queues.recover([each.session for each in subscriptions], in_hand) if subscriptions else []
        return list(zip(subscriptions, answers, strict=True))

    def _registered(self, subscriptions: list[Subscription]) -> list[tuple[Subscription, Found]]:
        worker, found = self._worker, list[tuple[Subscription, Found]]()
        sessions = [each.session for each in subscriptions]
        queues = len(worker.subscriptions)
        answers = many_queues.register(sessions, worker.shared.lease_ms, worker.facts, queues) if subscriptions else []
        for each, failed in zip(subscriptions, answers, strict=True):
            if failed is None:
                each.note_registered()
            found.append((each, [] if failed is None else failed))
        return found

    def _listening(self, subscription: Subscription, found: Found) -> Found:
        """Have a queue's bell listened to; return what was found there, or why that cannot be."""
        if isinstance(found, ConnectionFailed) and found.retry:
            raise found
        if not isinstance(found, HotQueueError):
            try:
                self._worker.idle.connect(subscription.index)
            except HotQueueError as error:
                if isinstance(error, ConnectionFailed) and error.retry:
                    raise
                return error
        return found
