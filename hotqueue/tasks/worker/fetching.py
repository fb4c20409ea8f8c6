"""Fetching: when a worker of sync tasks fetches: after a batch, ahead while it works, behind a bell while asleep."""

from __future__ import annotations

import math
import time

from hotqueue.store.blocking import Blocking
from hotqueue.tasks.broker.session import Step, Stepped
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.worker import Worker

TO_SPARE = 0.2  # seconds that we stay at the bell after something is due: what is made ready then rings
AHEAD_FROM = 4  # tasks in a batch from which the next one is fetched ahead
QUIET = 0.2  # seconds without a task after which an idle worker listens for `async def` tasks too
FEW = 16  # queues; of more, the bells of both kinds would make long questions


class Fetching(Worker):
    """A worker that fetches batches: after one another, ahead, and asleep.

    Attributes:
        came_at: when tasks came (monotonic).
    """

    _had_left = False  # the batch before left some
    came_at = 0.0

    def until_quiet(self, wait: float) -> float:
        """Listen for `async def` tasks too once it has been quiet, where no other worker here does; return how long to sleep.

        While tasks come, each step tells of the others, and the question is as short as it can be.
        """
        if self.kind != "s" or self.is_spread or self.shared.is_burst or wait <= 0:
            return wait
        left = self.came_at + QUIET - time.monotonic()
        if left > 0 or len(self.subscriptions) > FEW or not self.shared.has_left("a"):
            self.idle.listen_to("s")
            return min(wait, left) if left > 0 else wait
        if self.idle.is_asking("s"):
            return min(wait, TO_SPARE)
        self.idle.listen_to("sa")
        return wait

    def pass_ring_on(self, subscription: Subscription) -> None:
        """Ring for the worker of `async def` tasks, which may have begun, where we may have taken a ring that was for it."""
        if self.idle.hears("a"):
            self.idle.listen_to("s")
            self.ring(subscription, "a")

    def _may_fetch_asleep(self, wait: float) -> bool:
        if wait <= 0 or not self.has_one_queue or self.shared.is_burst or self._sleep_error or not self.idle.may_fetch:
            return False
        if self.shared.runs_suspects and len(self.shared.workers) > 1:  # it would bring something beside one that runs alone
            return False
        subscription = self.subscriptions[0]
        return not (
            subscription.is_newer
            or subscription.is_unavailable
            or subscription.may_be_wrong
            or subscription.unsettled
            or subscription.needs
        )

    def _sleep_and_fetch(self, subscription: Subscription, seconds: float) -> None:
        """Sleep with a fetch behind the bell, so that a task starts one trip sooner; its permits go in beforehand."""
        room = self.shared.room(subscription.prefetch.room())
        self.permits.add(subscription.session.number + 1, room, subscription.index)
        step = None
        due = subscription.until_due()
        block = seconds + TO_SPARE if due <= seconds else seconds  # then the alarm comes first, and what it makes ready rings

        def fetch(ask: bytes, via: Blocking) -> Step:
            return subscription.session.begin_behind(ask, via, room)

        def promote() -> float:
            self._promote(subscription)
            return math.inf if subscription.is_unavailable or subscription.due < 0 else subscription.due / 1000

        try:
            step = self.patient(lambda: self.idle.wait_and_fetch(block, fetch, due, promote))
        finally:
            subscription.ahead = step
            if step is None:
                subscription.must_recover = True
                self.permits.drain()

    def _next_batch(self, subscription: Subscription) -> Stepped | None:
        if subscription.ahead is not None and not self.is_spread:
            step, subscription.ahead = subscription.ahead, None
            stepped = self.end(subscription, step, are_permits_out=True)
            has_to_ask = stepped is not None and stepped.left > 0  # what it may not bring: see `begin_behind`
            if subscription.unstarted or not (subscription.unsettled or has_to_ask):
                return stepped
        if subscription.slow_settlements.is_full:
            self.settle(subscription)
            return None
        room = self.shared.room(subscription.prefetch.room())
        if subscription.may_unpark:
            self.unpark(subscription, room)
        return self.step(subscription, room)

    def _fetch_ahead(self, subscription: Subscription, stepped: Stepped | None) -> None:
        """Have Redis fetch the next batch, and take in the last one's outcomes, while this one is worked at.

        Only where tasks are short, and so many that some were left twice in a row: what we fetch ahead, a worker that is idle
        might run sooner. The permits for it go in beforehand, so that a supervisor who finds us dragging takes it back as well.
        """
        had_left, self._had_left = self._had_left, stepped is not None and stepped.left > 0
        if stepped is None or len(stepped.deliveries) < AHEAD_FROM or not self.has_one_queue or self.stopping:
            return
        if self.shared.runs_suspects and stepped.suspects:
            return
        if subscription.may_unpark or subscription.has_more_than_a_trip or not (had_left and self._had_left):
            return
        room = self.shared.room(subscription.prefetch.room())
        self.permits.add(subscription.session.number + 1, room, subscription.index)
        subscription.ahead = self.begin(subscription, room)
        if subscription.ahead is None:
            self.permits.drain()
