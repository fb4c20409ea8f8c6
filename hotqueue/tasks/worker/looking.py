"""Looking: which of its queues a worker looks at: those to which something happened; now and then all others, together."""

from __future__ import annotations

import random
import time

from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.rules.globs import weight_of
from hotqueue.tasks.worker.bells import LONGEST_SLEEP
from hotqueue.tasks.worker.peeking import Peeking
from hotqueue.tasks.worker.queue_turns import Turns
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

ASKED_EVERY = 0.15  # seconds for each queue in which something waits until it is asked all the same; LONGEST_SLEEP for few
LOOKED_AT = {False: 0.01, True: 0.3}  # seconds for each queue until it is looked whether tasks wait in any; at a Cluster's


class Looking(Stepping):
    """A worker that knows where to look.

    Attributes:
        turns: whose turn it is.
        peeking: its looks at other queues while it is busy with one.
    """

    def __init__(self, shared: Shared, registries: list[Registry], permits: StartPermits, running: Running) -> None:
        super().__init__(shared, registries, permits, running)
        self.turns = Turns([weight_of(shared.weights, registry.name) for registry in registries])
        self.peeking = Peeking(self.kind)
        self._look_at = self._turned_away = 0.0

    def is_worth_asking(self, subscription: Subscription) -> bool:
        """Tell whether a queue may have something for us, or we for it: its bell rang, or it was not asked for long."""
        return self.has_reason_to_ask(subscription) or self.is_stale(subscription)

    def has_reason_to_ask(self, subscription: Subscription) -> bool:
        """As `is_worth_asking`, but for a queue that is asked only because that was long ago."""
        if self.has_one_queue or self.shared.is_burst:
            return True
        is_open = bool(
            subscription.may_have_tasks
            or subscription.unsettled
            or subscription.unstarted
            or subscription.ahead
            or subscription.may_unpark
            or (subscription.due > 0 and not subscription.until_due())
        )
        return is_open or subscription.may_be_wrong

    def is_stale(self, subscription: Subscription) -> bool:
        """Tell whether it is long ago that a queue was asked; longer where there is something about many."""
        now = time.monotonic()
        return now >= subscription.fetch_at if subscription.is_newer else now - subscription.looked_at > self._ask_after

    @property
    def _ask_after(self) -> float:
        return max(LONGEST_SLEEP, ASKED_EVERY * len(self.attention))

    @property
    def _look_every(self) -> float:
        return max(LONGEST_SLEEP, LOOKED_AT[self.is_spread] * len(self.subscriptions))

    def attended(self) -> list[Subscription]:
        """Return the queues about which something may have to be done, the one whose turn it is first."""
        if self.has_one_queue:
            return self.subscriptions
        if self.shared.is_burst:
            return [self.subscriptions[at] for at in self.turns.order(range(len(self.subscriptions)))]
        now = time.monotonic()
        if now - self._turned_away > 0.1:
            self._turned_away = now
            self.attention.turn_away(self.subscriptions)
        return [self.subscriptions[at] for at in self.turns.order(self.attention.numbers())]

    def look_at_quiet(self) -> bool:
        """See whether tasks wait where no bell rang, in case a ring was lost; not too often. True where some do."""
        now = time.monotonic()
        if self.has_one_queue or now < self._look_at:
            return False
        self._look_at = now + self._look_every
        not_left = self.not_left()
        self.attention.update(each.index for each in not_left if each.may_be_wrong)
        quiet = [subscription for subscription in not_left if subscription.is_quiet]
        if self._places is not None:
            self._places.look_at(quiet)
            return False
        found = self.to_be_asked(quiet)
        for number in found:
            self.subscriptions[number].may_have_tasks = True
        return bool(found)

    def look_later(self) -> None:
        """Have the next look at all queues not come at once: of many workers, not all look at the same time."""
        self._look_at = time.monotonic() + random.uniform(0, self._look_every)

    def look_soon(self) -> None:
        """Have the next look at all queues come at once: rings may have been lost."""
        self._look_at = 0.0

    def not_left(self) -> list[Subscription]:
        """Return the queues that this worker has not let go of."""
        return [subscription for subscription in self.subscriptions if not subscription.has_left]
