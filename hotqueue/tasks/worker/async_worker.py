"""The worker of `async def` tasks: keeps many going on the process's event loop; fetches for free slots only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main
from hotqueue.tasks.rules.lifecycle import Outcome
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.wire.envelope import GATED
from hotqueue.tasks.worker.prepare import Ready
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.worker import Worker

PLAIN = bytes([GATED - 1])  # the highest flags of a task without gates
SETTLE_AFTER = 0.05  # seconds of visits to queues after which what ended meanwhile is settled before the next one


class _Ended(NamedTuple):
    """A task that ran to its end, on the loop, and is not concluded yet."""

    subscription: Subscription
    ready: Ready
    outcome: Outcome
    seconds: float


class AsyncWorker(Worker):
    """Keeps many `async def` tasks going on the process's event loop."""

    kind = "a"

    def __init__(self, shared: Shared, registries: list[Registry], permits: StartPermits, running: Running) -> None:
        super().__init__(shared, registries, permits, running)
        self.slots = shared.async_concurrency
        self._ended: deque[_Ended] = deque()
        self._active = 0
        self._was_full = False  # a queue had no room for more outcomes: a ring may have been in vain

    def _loop(self) -> None:
        leave_ctrl_c_to_main()
        may_have = True
        while not (self.stopping and self._active == 0):
            self.running.progress()
            self._collect()
            came = self._turn_around(may_have)
            if came or self._ended:
                # Where a fetch left nothing, the bell rings for what comes next.
                may_have = came and self.has_one_queue and self.subscriptions[0].may_have_tasks
                continue
            if self._active == 0 and self._may_end():
                return
            may_have = self._rest()

    def _may_end(self) -> bool:
        """Tell whether a burst is over; that is for the sync workers to say, whose tasks may send more for us."""
        return self.shared.is_burst and self.shared.is_idle and self.shared.has_left("s")

    def _rest(self) -> bool:
        """Sleep until a bell rings, a task ends, or half a second is over; give a ring back that we have no room for."""
        room = self._room()
        if room == 0 or self.stopping:
            return self._sleep_without_room()
        wait = min(self.next_due(), 0.05) if self.shared.is_burst else self.next_due()
        began = time.monotonic()
        return self.sleep(wait) or time.monotonic() - began >= wait

    def _sleep_without_room(self) -> bool:
        under_way = self._places.under_way() if self._places is not None else ()
        self.idle.wait_woken(0.5, under_way)
        while self.idle.rang:
            self.ring(self.subscriptions[self.idle.rang.pop()])
        self.note_rings()
        return False

    def _room(self) -> int:
        if self.stopping:
            return 0
        free = self.slots - self._active
        if self.is_spread:  # what a server that does not answer may bring holds half of them at most: the others' tasks need some
            under_way = sum(step.room for each in self.attended() if (step := each.ahead) is not None)
            free -= min(free // 2, under_way)
        return self.shared.room(free) if free > 0 else 0

    def _turn_around(self, may_have: bool) -> bool:
        """Settle what ended; fetch where there is room and reason to."""
        may_have = may_have or self._was_full
        self._was_full = any(each.slow_settlements.is_full for each in self.attended())
        if not self.has_one_queue:
            came = self._visit_in_turn(may_have)
        else:  # has all turns
            came = (room := self._room()) > 0 and self._visit(self.subscriptions[0], room, may_have)
        for subscription in self.attended():
            if subscription.unsettled:
                self.settle(subscription)
                came = self._start(subscription) or came
        return came

    def _visit_in_turn(self, may_have: bool) -> bool:
        """Visit one queue after the other, from the one whose turn it is."""
        came = any([self._ask(subscription, 0) for subscription in self.attended() if subscription.ahead is not None])  # noqa: C419  (every one)
        if any(subscription.left for subscription in self.attended()):
            self.peeking.look(self.subscriptions)  # one of them keeps us from sleeping
        order, until = self._to_be_visited(), time.monotonic() + SETTLE_AFTER
        while order and (room := self._room()):
            shares = dict(zip(order, self.turns.shares(room, order), strict=True))
            for at in [at for at in order if shares[at]]:
                if self._ended and time.monotonic() > until:  # the other queues have their turn once this is settled
                    self._collect()
                    came, order = True, []
                    break
                before = self._room()
                came = self._visit(self.subscriptions[at], shares[at], may_have) or came
                if before - self._room() < shares[at]:  # it has no more: what it leaves is for the others
                    order.remove(at)
        return came

    def _to_be_visited(self) -> list[int]:
        """Return the numbers of the queues to visit, in turn: of those that are asked for no reason, one, as sync workers do."""
        order, is_asked = [], False
        for subscription in self.attended():
            if subscription.unsettled or subscription.may_unpark or self.has_reason_to_ask(subscription):
                order.append(subscription.index)
            elif not is_asked and self.is_stale(subscription):
                is_asked = True
                order.append(subscription.index)
        return order

    def _may_have_tasks(self, subscription: Subscription, may_have: bool) -> bool:
        return may_have if self.has_one_queue else self.is_worth_asking(subscription)

    def _visit(self, subscription: Subscription, room: int, may_have: bool) -> bool:
        """Settle what ended at one queue, and fetch up to `room` tasks, where there is reason to; tell whether anything came."""
        if subscription.slow_settlements.is_full:
            return False
        came_back = subscription.may_unpark and self.unpark(subscription, room)
        if not (subscription.unsettled or subscription.ahead or came_back or self._may_have_tasks(subscription, may_have)):
            return False
        return self._ask(subscription, room)

    def _ask(self, subscription: Subscription, room: int) -> bool:
        """Make a step, or see whether the one under way has been answered; tell whether to look again at once."""
        stepped = self.step(subscription, (room + 1) // 2 if self.is_spread else room)
        is_more_unsettled = stepped is not None and bool(subscription.unsettled)
        is_more = room > 0 and (subscription.may_unpark or subscription.has_more)
        return self._start(subscription) or is_more or is_more_unsettled

    def _start(self, subscription: Subscription) -> bool:
        """Start all that was fetched, together."""
        batch: list[tuple[Any, Callable[[Outcome], None]]] = []
        is_enough = False
        while subscription.unstarted and self.permits.take(subscription.unstarted[0].number, subscription.index):
            if self._active >= self.slots or not self.shared.may_begin():  # it came late, when the slots had gone to others
                is_enough = True
                break
            delivery = subscription.unstarted.popleft()
            if delivery.data[3:4] > PLAIN and not subscription.may_start(delivery):
                subscription.settle_later(settlement.put_back(delivery, subscription.counted_at))
                continue
            ready = subscription.prepare(delivery, self.presence.id, subscription)
            if ready.call is None:
                assert ready.outcome is not None
                self.conclude(subscription, ready, ready.outcome, 0.0)
                continue
            row = self.running.start(ready.delivery.id.encode(), ready.options.time_limit, ready.fate)
            self._active += 1
            subscription.running[id(ready.call)] = ready.call
            batch.append((ready.call, self._when_done(subscription, ready, row)))
        is_dropped = bool(subscription.unstarted)
        if is_dropped:
            self._drop(subscription)
        if batch:
            self.shared.event_loop().start(batch)
        if is_enough:
            self.settle(subscription)
            self.ring(subscription)
        return bool(batch) or (is_dropped and not is_enough)

    def _drop(self, subscription: Subscription) -> None:
        """Put back what is not started here, as there is no slot for it, or it was taken back; and look again."""
        self.permits.withdraw_all(subscription.index)
        subscription.put_back_unstarted()
        subscription.note_ring()

    def _when_done(self, subscription: Subscription, ready: Ready, row: int) -> Callable[[Outcome], None]:
        began = time.monotonic()

        def done(outcome: Outcome) -> None:
            self.running.end(row)
            first = not self._ended
            delivery = ready.delivery
            delivery.began, delivery.took = began, time.monotonic() - began
            self._ended.append(_Ended(subscription, ready, outcome, delivery.took))
            if first:
                self.idle.wake()

        return done

    def _collect(self) -> None:
        while self._ended:
            subscription, ready, outcome, seconds = self._ended.popleft()
            subscription.running.pop(id(ready.call), None)
            self._active -= 1
            is_ours = self.subscriptions[subscription.index] is subscription  # not of an incarnation before
            if is_ours and subscription.in_hand.get(ready.delivery.id) is ready.delivery:
                self.conclude(subscription, ready, outcome, seconds)
        self.shared.check_limits()

    def give_up_running_of(self, queue: int) -> None:
        """Cancel what runs of a queue, with LeaseLost."""
        super().give_up_running_of(queue)
        lost = list(self.subscriptions[queue].running.values())
        if lost:
            self.shared.event_loop().give_up(lost)
