"""Worker: step → execute → decide → step, over the queues of its process. A thread of a worker process runs one.

What both kinds do is here: working until told to stop, deciding what becomes of a task, sleeping. sync_worker.py runs tasks one
at a time, async_worker.py many. Neither pops a task and hopes: what is fetched is held in Redis until its outcome is settled.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.store.timeouts import COMMAND_TIMEOUT
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.rules.lifecycle import Ended, Outcome, decide
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.worker import leaving, task_log
from hotqueue.tasks.worker.idle import LONGEST_SLEEP
from hotqueue.tasks.worker.membership import RETRY_AFTER
from hotqueue.tasks.worker.peeking import Peeking
from hotqueue.tasks.worker.prepare import Ready
from hotqueue.tasks.worker.queue_turns import Turns
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.several_servers import HASTY, Places
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

T = TypeVar("T")
log = logging.getLogger("hotqueue.worker")

ASKED_EVERY = 0.15  # seconds for each queue in which something waits until it is asked all the same; LONGEST_SLEEP for few
LOOKED_AT = {False: 0.01, True: 0.06}  # seconds for each queue until it is looked whether tasks wait in any; at a Cluster's


class Worker(Stepping):
    """What both kinds of worker do.

    1. `run` registers at every queue; `_loop`, of each kind, works until told to stop.
    2. A step fetches tasks (`step`); each is prepared and run by its kind of worker.
    3. `conclude` decides what becomes of it, and has that wait for the next step.
    4. Where there is nothing to do, `next_due` says for how long, and `sleep` waits for a bell.
    5. `_leave` settles what is done, puts back what was not started, and deregisters.

    Args:
        shared: what the workers of this process share.
        permits, running: shared with whoever may take tasks back, and judges whether this worker is well.
    """

    _places: Places | None

    def __init__(self, shared: Shared, registries: list[Registry], permits: StartPermits, running: Running) -> None:
        super().__init__(shared, registries, permits, running)
        self.turns = Turns([shared.weights.get(registry.name, 1) for registry in registries])
        self.peeking = Peeking(self.kind)
        self._sleep_error = ""  # why the connections to the bells failed
        self._look_at = self._turned_away = 0.0
        if self.is_spread:
            self._places = Places(self)

    @property
    def may_become_busy(self) -> bool:
        """True while this worker knows of tasks that wait, or are due within a second: a burst is not over."""
        return any(subscription.others or 0 <= subscription.due <= 1000 for subscription in self.subscriptions)

    # --- life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until told to stop, or, in a burst, until nothing is left."""
        if not self._register():
            self.has_left = True
            self.presence.let_go()  # it may be registered: the reply may be what was lost
            return
        self._look_at = time.monotonic() + random.uniform(0, self._look_every)  # of many workers, not all look at once
        try:
            self._loop()
        except BaseException:  # of a bug, or Ctrl-C: nobody goes on as if nothing had happened
            self.shared.stop_fetching()
            raise
        finally:
            self.has_left = True
            self.shared.note_left()
            self._leave()
            self.shared.outages.forget(self)
            self.running.leave()

    def _loop(self) -> None:
        raise NotImplementedError

    def _leave(self) -> None:
        """Settle what is done, put back what was not started, deregister."""
        places, self._places = self._places, None
        leave_queues = partial(leaving.leave_queues, self)
        if places is None:
            leaving.end_ahead(self, self.subscriptions)
        self.permits.drain()
        has_left = leave_queues(self.subscriptions) if places is None else places.leave(leave_queues)
        if has_left:
            self.presence.close()
        else:
            self.presence.let_go()  # the file stays: a neighbour sees that we are dead, and that we ran nothing
        self.idle.close()

    # --- outcomes ------------------------------------------------------------------------------------------------

    def conclude(self, subscription: Subscription, ready: Ready, outcome: Outcome, seconds: float) -> None:
        """Decide what becomes of a task, and line that up to be settled."""
        signer = subscription.result_signer
        if outcome.ended is Ended.RETURNED:
            retries = ready.history.retries
            done = settlement.succeeded(ready.delivery, outcome.payload, retries, ready.options, subscription.now(), signer)
            subscription.settle_later(done)
            self.shared.count("succeeded")
            task_log.succeeded(ready, seconds)
            return
        now = datetime_of(subscription.now()) if outcome.eta else None  # due by the server's time, like all
        action = decide(outcome, ready.options.retry_policy, ready.history, random=random.random, now=now)
        subscription.settle_later(settlement.of(action, ready.delivery, ready.history, ready.options, subscription.now(), signer))
        self.shared.count(action.do.name.lower())
        task_log.concluded(action, outcome, ready, seconds)

    def unpark(self, subscription: Subscription, room: int) -> bool:
        """Take up to `room` parked tasks back that this worker can run; tell whether there were any."""
        if self._places is not None:
            subscription.unpark_later()
            self._places.unpark(subscription, room)
            return False
        try:
            any_moved = subscription.unpark(self.kind, room) > 0
        except HotQueueError as error:
            self._note_outage(error)
            return False
        if any_moved:
            self.shared.wake_others(self)
        return any_moved

    # --- sleeping ------------------------------------------------------------------------------------------------

    def is_worth_asking(self, subscription: Subscription) -> bool:
        """Tell whether a queue may have something for us, or we for it: its bell rang, or it was not asked for long."""
        return self.has_reason_to_ask(subscription) or self.is_stale(subscription)

    def has_reason_to_ask(self, subscription: Subscription) -> bool:
        """As `is_worth_asking`, but for a queue that is asked only because that was long ago."""
        if len(self.subscriptions) == 1 or self.shared.is_burst:
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
        if len(self.subscriptions) == 1:
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
        if len(self.subscriptions) == 1 or now < self._look_at:
            return False
        self._look_at = now + self._look_every
        quiet = [subscription for subscription in self.subscriptions if subscription.is_quiet]
        if self._places is not None:
            self._places.look_at(quiet)
            return False
        found = self.to_be_asked(quiet)
        for number in found:
            self.subscriptions[number].may_have_tasks = True
        return bool(found)

    def note_rings(self) -> None:
        """Take in which bells rang, and what others found out beside us."""
        while self.idle.rang:
            rang = self.subscriptions[self.idle.rang.pop()]
            rang.note_ring()
            if rang.is_newer:  # it came for somebody else, before we stopped listening
                self.ring(rang)
        while self.idle.wrong:
            queue, why = self.idle.wrong.popitem()
            self._say_refused(self.subscriptions[queue], why)
        if self._places is not None:
            self._places.conclude()

    def next_due(self) -> float:
        """Return seconds until the next scheduled task of our queues, at most LONGEST_SLEEP; promotes what is due."""
        if self.look_at_quiet():
            return 0.0
        wait = LONGEST_SLEEP
        for subscription in self.attended():
            if subscription.is_away:
                continue
            if self._places is not None and (left := self._places.until_answer(subscription)) is not None:
                wait = min(wait, left)
                continue
            if subscription.due == 0 and not (self._places is not None and subscription.is_unavailable):
                self._promote(subscription)
                return RETRY_AFTER if subscription.is_unavailable else 0.0
            wait = min(wait, RETRY_AFTER if subscription.is_unavailable else subscription.until_look())
            if subscription.due > 0 and not subscription.is_unavailable:
                wait = min(wait, subscription.until_due())
            if subscription.is_newer:
                wait = min(wait, max(0.0, subscription.fetch_at - time.monotonic()))
            elif len(self.subscriptions) > 1 and not subscription.is_unavailable:
                wait = min(wait, max(0.0, subscription.looked_at + self._ask_after - time.monotonic()))
        return wait

    def _promote(self, subscription: Subscription) -> None:
        if self._places is not None:
            self._places.promote(subscription)
            return
        try:
            subscription.due = subscription.registry.broker.promote()
            subscription.may_have_tasks = True
        except ConnectionFailed as error:
            self._note_outage(error)
        except ConfigError as error:
            self.note_refusal(subscription, error)

    def ring(self, subscription: Subscription) -> None:
        """Wake another worker of our kind, for what is not for us."""
        if subscription.is_away:
            return  # and those who sleep there as well
        try:
            with subscription.registry.store.limited(HASTY if self._places is not None else COMMAND_TIMEOUT):
                subscription.registry.broker.ring(self.kind)
        except HotQueueError as error:  # whoever sweeps rings again
            self._note_outage(error, subscription)

    def sleep(self, seconds: float) -> bool:
        """Wait for a bell, or for what is under way; tell whether one rang. A broken connection is waited out."""
        also = self._places.under_way() if self._places is not None else ()
        if seconds <= 0 and len(self.subscriptions) == 1:
            return True
        rang = self.patient(lambda: self.idle.wait(max(0.0, seconds), also)) is not False
        self.note_rings()
        return rang

    def patient(self, wait: Callable[[], T]) -> T | None:
        """Wait for a bell; None when that failed, after a pause."""
        try:
            found = wait()
            if self.idle.is_connected:
                self._sleep_error = ""
            return found
        except ConnectionFailed as error:
            if str(error) != self._sleep_error:  # once: steps may go on over other connections, and would have it said again
                self._note_outage(error)
            self._sleep_error = str(error)
            self.running.progress()
            self.shared.stop.wait(0.1)
        except ConfigError as error:  # a bell of the wrong type
            self.note_refusal(self.subscriptions[0], error)
            self.shared.stop.wait(RETRY_AFTER)
        return None
