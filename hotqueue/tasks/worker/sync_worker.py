"""The worker of sync tasks: one at a time, in batches that adapt to how long tasks take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker.session import ALONE, Stepped
from hotqueue.tasks.client.batch import TRIP_BYTES
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.context import Request
from hotqueue.tasks.execution.executor import execute
from hotqueue.tasks.rules.lifecycle import Outcome
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.wire.envelope import GATED
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker import failpoints
from hotqueue.tasks.worker.fetching import Fetching
from hotqueue.tasks.worker.prepare import Ready
from hotqueue.tasks.worker.queue_turns import turns_in
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.subscription import Subscription

PLAIN = bytes([GATED - 1])  # the highest flags of a task without gates
SETTLE_AFTER = 0.020  # seconds after which results are settled though the batch is not done


class SyncWorker(Fetching):
    """Runs tasks one at a time, in the thread that calls `run`."""

    kind = "s"

    def __init__(self, shared: Shared, registries: list[Registry], permits: StartPermits, running: Running) -> None:
        super().__init__(shared, registries, permits, running)
        shared.settler.add(self.settle_behind, self.idle.lent)
        self._at_batch: Subscription | None = None
        self._began = 0.0
        self._request: Request | None = None
        self._last = ""  # the task that ran last
        self._runs_of: Subscription | None = None

    def _loop(self) -> None:
        while not self.stopping:
            before = self.shared.done.total()
            if self.turn():
                continue
            if any(subscription.slow_settlements.is_full for subscription in self.attended()):
                self._rest_until_there_is_room()
                continue
            wait = self.until_quiet(self.next_due())
            if self.shared.is_burst and wait and self._burst_is_over(before):
                return
            if self._may_fetch_asleep(wait):
                self._sleep_and_fetch(self.subscriptions[0], wait)
            else:
                self.sleep(min(wait, 0.05) if self.shared.is_burst else wait)

    def _rest_until_there_is_room(self) -> None:
        """Pause, and give a ring back that came for us: somebody else may be able to fetch."""
        if self.idle.wait_woken(0.1):
            while self.idle.rang:
                self.ring(self.subscriptions[self.idle.rang.pop()])

    def _burst_is_over(self, before: int) -> bool:
        """Tell whether nothing is left: also nothing that a task of another worker sent since we looked."""
        return not self.may_become_busy and self.shared.is_idle and self.shared.done.total() == before

    def turn(self) -> bool:
        """Look at each queue once, beginning with the one whose turn it is; run what comes. True if anything came."""
        self.running.progress()
        self.note_rings()
        self.shared.mend(self._last)
        if self.stopping:
            return True
        came = self._look_around()
        if self.shared.runs_suspects:
            came = self._run_suspect() or came
        return came

    def _look_around(self) -> bool:
        is_asked = False
        for subscription in self.attended():
            if not self.has_reason_to_ask(subscription):
                if is_asked or not self.is_stale(subscription):
                    continue  # those that are asked for no reason are asked one at a time, to keep none waiting that rings
                is_asked = True
            stepped = self._next_batch(subscription)
            if stepped is not None and self._notice(subscription, stepped):
                return True
            if subscription.unstarted:
                self._fetch_ahead(subscription, stepped)
                began = time.monotonic()
                self._work(subscription)
                if self._is_turn_of_others(subscription.index, time.monotonic() - began):
                    self.settle(subscription)
                return True
        return False

    def _is_turn_of_others(self, at: int, worked: float) -> bool:
        """Tell, after some seconds of work for one queue, whether others have their turn now, and something to do."""
        if self.has_one_queue or not self.turns.spend(at, turns_in(worked)):
            return False
        self.peeking.look(self.subscriptions, at)
        return any(self.is_worth_asking(subscription) for subscription in self.attended() if subscription.index != at)

    def _notice(self, subscription: Subscription, stepped: Stepped) -> bool:
        """See to what a step said beyond its tasks; tell whether there is more to fetch, by the way."""
        if stepped.others:
            self.shared.start_async()
            self.pass_ring_on(subscription)
        return (subscription.may_unpark or subscription.has_more) and not subscription.unstarted

    def _run_suspect(self) -> bool:
        """For want of a quarantine process: run a suspect between two batches, when nothing else runs here."""
        workers = self.shared.workers
        subscription = next((each for each in self.attended() if each.suspects and each.ahead is None), None)
        if subscription is None or workers[0] is not self or self._has_company():
            return False
        self.shared.runs_alone = self
        try:
            return not self._has_company() and self._run_alone(subscription)  # again: others may have begun a step since
        finally:
            self.shared.runs_alone = None

    def _has_company(self) -> bool:
        return not all(each is self or each.is_idle for each in self.shared.workers)

    def _run_alone(self, subscription: Subscription) -> bool:
        self.settle_all(subscription)
        subscription.session.width = ALONE
        try:
            if self._step_through(subscription) is None or not subscription.unstarted:
                return False
        finally:
            subscription.session.width = 0
        self._work(subscription)
        self.settle(subscription)
        return True

    def _step_through(self, subscription: Subscription) -> Stepped | None:
        stepped = self.step(subscription, 1)
        while stepped is None and subscription.ahead is not None:
            self.running.progress()
            subscription.ahead.has_answered(0.05)
            stepped = self.step(subscription, 1)
        return stepped

    def _give_back(self, subscription: Subscription) -> None:
        """Give others what was fetched."""
        self.permits.withdraw_all(subscription.index)
        self._drop(subscription)
        self.settle(subscription)
        self.ring(subscription)

    def _work(self, subscription: Subscription) -> None:
        """Run what is in line, as far as permits go."""
        began = self.came_at = time.monotonic()
        take, line = self.permits.take, subscription.unstarted
        is_lent = self.is_spread and self.idle.lend()
        if is_lent or len(line) > 1 or subscription.unsettled:  # what a fetch ahead did not carry any more
            self._at_batch = subscription
            self.shared.settler.watch()
        try:
            self._run_line(subscription, began, take, line)
        finally:
            self._at_batch = None
            if is_lent:
                self.idle.reclaim()

    def _run_line(
        self, subscription: Subscription, began: float, take: Callable[[int, int], bool], line: deque[Delivery]
    ) -> None:
        settlements = subscription.slow_settlements
        while line:
            if settlements.is_full:  # what is settled apart takes all the memory that it may
                self._give_back(subscription)
                return
            delivery = line.popleft()
            if self.shared.stop.is_set() or not take(delivery.number, subscription.index) or not self.shared.may_begin():
                # The rest went back to the queue, or goes back in a moment: not ours to start.
                line.appendleft(delivery)
                self._drop(subscription)
                return
            if delivery.data[3:4] > PLAIN and not subscription.may_start(delivery):
                subscription.settle_later(settlement.put_back(delivery, subscription.counted_at))
                continue
            ready = subscription.prepare(delivery, self.presence.id, subscription)
            if ready.name in subscription.paused and ready.call is not None:  # since it was fetched
                subscription.settle_later(settlement.put_back(delivery))
                continue
            self._runs_of = subscription
            self._began = before = time.monotonic()
            outcome = self._execute(ready)
            after = time.monotonic()
            if ready.call is not None:
                delivery.began, delivery.took = before, after - before
            if failpoints.IS_ARMED:
                failpoints.at("after_run")
            subscription.prefetch.ran(after - before)
            if self.shared.interrupts > 1 and isinstance(outcome.error, KeyboardInterrupt):
                subscription.settle_later(settlement.put_back(delivery))  # interrupted by us is not failed
                return
            self.conclude(subscription, ready, outcome, after - before)
            if self.shared.check_limits():
                continue
            if line and (after - began > SETTLE_AFTER or subscription.unsettled_bytes > TRIP_BYTES):
                began = after
                self.settle(subscription)

    def settle_behind(self, since: float) -> bool:
        """Settle what ended before a task that runs since before `since`; for a Settler. True while at a batch."""
        subscription = self._at_batch
        if subscription is None:
            return False
        for queue in self.idle.rang_meanwhile() if self.is_spread else ():
            self.ring(self.subscriptions[queue])  # somebody else may sleep
        if self._began < since and subscription.unsettled:
            settlements = subscription.take_unsettled()
            try:
                stepped = subscription.session.settle(settlements)
            except HotQueueError:  # the worker finds out by itself, and recovers
                subscription.unsettle(settlements)
            else:
                subscription.note_gone(stepped.gone, settlements)
                subscription.settled(settlements)
        return True

    def give_up_running_of(self, queue: int) -> None:
        """Have the task that runs see `current_task.lost`; a thread cannot be stopped from outside."""
        super().give_up_running_of(queue)
        request, subscription = self._request, self._runs_of
        if request is not None and subscription is not None and subscription.index == queue:
            request.lost = True

    def _drop(self, subscription: Subscription) -> None:
        if self.shared.stop.is_set():
            return  # _leave puts them back
        subscription.put_back_unstarted()

    def _execute(self, ready: Ready) -> Outcome:
        call = ready.call
        if call is None:
            assert ready.outcome is not None
            return ready.outcome
        self._request = call.request
        row = self.running.start(ready.delivery.id.encode(), ready.options.time_limit, ready.fate)
        if failpoints.IS_ARMED:
            failpoints.at("before_start")
        try:
            return execute(call, self.shared.context.fresh(), self.shared.run_in_loop)
        finally:
            self.running.end(row)
            self._request, self._last = None, call.name
            if self.shared.repairs is not None:
                self.shared.repairs.after_task(call.name)
