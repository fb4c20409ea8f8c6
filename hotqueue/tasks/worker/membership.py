"""Membership: under which name a worker is known at its queues; which servers it knows to be away.

The state of every worker is made here; what it does with tasks is above: recovery.py, stepping.py, worker.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError, NewerQueue
from hotqueue.presence import Presence
from hotqueue.runtime import package
from hotqueue.store.store import Store
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.worker.attention import Attention
from hotqueue.tasks.worker.idle import Idle
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.subscription import Subscription

RETRY_AFTER = 1.0  # seconds between two tries at a queue whose server refuses us
NEWER_AFTER = 5.0  # the same, of fetches at a queue that is newer than we are

log = logging.getLogger("hotqueue.worker")


def are_several(registries: Sequence[Registry], late: Iterable[Store] = ()) -> bool:
    """Tell whether queues may be at several servers.

    Args:
        late: the stores at which there may be more later.
    """
    stores = {id(store): store for store in (*(registry.store for registry in registries), *late)}
    is_one_queue = len(registries) == 1 and not late
    return len(stores) > 1 or (any(store.is_cluster for store in stores.values()) and not is_one_queue)


class Spread(Protocol):
    """What does what must keep no other queue waiting, where queues are at several servers; see several_servers.py."""

    def begin(self) -> None: ...

    def step(self, subscription: Subscription, room: int) -> Stepped | None: ...

    def recover(self, subscription: Subscription) -> None: ...

    def note_outage(self, subscription: Subscription, error: Exception) -> None: ...

    def look_at(self, subscriptions: Iterable[Subscription]) -> None: ...


class Membership:
    """A worker as its queues know it.

    Args:
        shared: what the workers of this process share.
        permits, running: shared with whoever may take tasks back, and judges whether this worker is well.

    Attributes:
        presence: the file by which others see whether this worker lives; its id is the worker's incarnation.
        subscriptions: one for each queue, in the order in which they were named.
        is_spread: True where they may be at several servers.
        has_left: True once nothing more is done under this name.
    """

    kind = ""

    def __init__(self, shared: Shared, registries: list[Registry], permits: StartPermits, running: Running) -> None:
        self.shared = shared
        self.permits = permits
        self.running = running
        self.has_one_queue = len(registries) == 1 and not shared.late_stores
        self.is_spread = are_several(registries, shared.late_stores)
        self.idle = Idle(
            dict(enumerate(registry.broker for registry in registries)), self.kind, waits_for_servers=not self.is_spread
        )
        self._places: Spread | None = None
        self._registries = list(registries)
        self._outage = self._is_stepping = self.has_left = False
        self.attention = Attention()
        self._new_incarnation()

    def _new_incarnation(self) -> None:
        self.presence = Presence(len(self.running.table))
        self.running.copy_to(self.presence.state)
        self.subscriptions = [self._subscription(index, registry) for index, registry in enumerate(self._registries)]

    def _subscription(self, index: int, registry: Registry) -> Subscription:
        made = Subscription(registry, self.presence.id, self.kind, self.wake, index, self.has_one_queue, self.attention)
        made.session.posted = partial(self.shared.relaying.bring, registry.broker)
        made.backing.stopping, made.backing.forgive = self._is_to_hand_over, self.running.forgive
        return made

    def _is_to_hand_over(self) -> bool:
        """Tell whether tasks that can go on elsewhere are to: this worker stops, and not for a limit of its process."""
        return self.shared.stop.is_set() and not self.shared.reached_limit

    @property
    def facts(self) -> dict[str, str]:
        """What this worker announces of itself."""
        return {**self.shared.facts, "version": package.version(), "folder": self.presence.folder, "kind": self.kind}

    @property
    def is_idle(self) -> bool:
        """True while nothing is in hand, nor on its way here, nor may be at a server that does not answer."""
        return not (
            self._is_stepping
            or any(subscription.in_hand or subscription.ahead or subscription.is_away for subscription in self.subscriptions)
        )

    @property
    def stopping(self) -> bool:
        """True once nothing more is to be fetched."""
        return self.shared.stop.is_set()

    def was_given_up(self, queue: int, asked: float) -> None:
        """Take in that we were not registered at a queue, given by its number, when that was asked. For any thread.

        Whoever has registered since has lost nothing that it runs: a server that comes back is asked by all at once.
        """
        if queue < len(self.subscriptions) and self.subscriptions[queue].registered_at <= asked:
            self.give_up_running_of(queue)

    def give_up_running_of(self, queue: int) -> None:
        """Let running tasks of a queue, given by its number, know that they are lost; register there again. For any thread."""
        if not self.has_one_queue:  # one queue alone is asked so often that it sees that itself
            self.subscriptions[queue].must_recover = True
            self.wake()

    def wake(self) -> None:
        """End a sleep."""
        self.idle.wake()

    # --- registering ---------------------------------------------------------------------------------------------

    def _register(self) -> bool:
        """Announce ourselves at every queue; False when told to stop before that could be done."""
        if self._places is not None:
            self._places.begin()  # those that are there begin
        elif not self._register_at_all():
            return False
        self.shared.announce(self)
        return True

    def _register_at_all(self) -> bool:
        """Announce ourselves at all queues of a server in one trip; False when told to stop before that could be done."""
        return not self.subscriptions or self._register_at(self.subscriptions)

    def _register_at(self, subscriptions: Sequence[Subscription]) -> bool:
        sessions = [subscription.session for subscription in subscriptions]
        store, stop = subscriptions[0].registry.store, self.shared.stop
        while True:
            try:
                answers = store.repeat(
                    lambda: many_queues.register(sessions, self.shared.lease_ms, self.facts), patience=RETRY_AFTER, stop=stop
                )
                break
            except (ConnectionFailed, ConfigError) as error:
                if stop.is_set():
                    return False
                if isinstance(error, ConnectionFailed) and error.retry:
                    self._note_outage(error)
                else:
                    self.note_refusal(subscriptions[0], error)
                if stop.wait(RETRY_AFTER):
                    return False
        for subscription, failed in zip(subscriptions, answers, strict=True):
            if failed is None:
                subscription.note_registered()
            else:
                self.note_refusal(subscription, failed)
        to_ask = self.to_be_asked(subscriptions)
        for subscription in subscriptions:
            subscription.may_have_tasks = subscription.index in to_ask
        return True

    def to_be_asked(self, subscriptions: Sequence[Subscription]) -> set[int]:
        """Return the numbers of those queues of one server to ask when it is not known which rang: a trip for each takes long."""
        if len(subscriptions) > 1:
            try:
                found = many_queues.have_tasks([subscription.registry.broker for subscription in subscriptions])
            except HotQueueError:  # whoever asks sees what is wrong
                pass
            else:
                return {subscription.index for subscription, has_tasks in zip(subscriptions, found, strict=True) if has_tasks}
        return {subscription.index for subscription in subscriptions}

    # --- servers that are away, or refuse us ---------------------------------------------------------------------

    def _note_outage(self, error: Exception, subscription: Subscription | None = None) -> None:
        if self._places is not None and subscription is not None:
            self._places.note_outage(subscription, error)
            return
        if self.shared.outages.begin("", self, str(error)):
            log.warning("%s; trying again until it answers", error)
        self._outage = True

    def _end_outage(self, subscription: Subscription) -> None:
        if self.shared.outages.end("", self):
            log.info("queue %s answers again", subscription.name)
        self._outage = False

    def note_refusal(self, subscription: Subscription, error: HotQueueError) -> None:
        """The server answers, but not as it should: somebody has to act. Say so once; leave this queue alone for a while."""
        if isinstance(error, NewerQueue):
            self.note_newer(subscription, error)
        else:
            self._say_refused(subscription, error)
        subscription.must_recover = True
        subscription.unavailable_until = time.monotonic() + RETRY_AFTER

    def note_newer(self, subscription: Subscription, error: NewerQueue) -> None:
        """A queue is newer than we are: say so once, fetch nothing there for a while, and leave its wake tokens to others."""
        if self.shared.outages.begin((NewerQueue, subscription.name), self, "") and not self.stopping:
            log.error("%s; this worker settles what it has begun there, and fetches nothing more", error)
        subscription.is_newer, subscription.fetch_at = True, time.monotonic() + NEWER_AFTER
        self.idle.silent.add(subscription.index)

    def note_known(self, subscription: Subscription) -> None:
        """It is newer no more: it was deleted, or replaced by a copy."""
        subscription.is_newer = False
        self.idle.silent.discard(subscription.index)
        self.shared.outages.end((NewerQueue, subscription.name), self)

    def _say_refused(self, subscription: Subscription, error: HotQueueError) -> None:
        if str(error) != subscription.refusal and not self.stopping:
            log.error("queue %s: %s; trying again until it is put right", subscription.name, error)
        subscription.refusal = str(error)
