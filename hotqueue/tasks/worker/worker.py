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
from hotqueue.tasks.rules.globs import weight_of
from hotqueue.tasks.rules.lifecycle import Do, Ended, Outcome, decide
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.worker import leaving, task_log
from hotqueue.tasks.worker.bells import LONGEST_SLEEP
from hotqueue.tasks.worker.changing_queues import ChangingQueues, deregister
from hotqueue.tasks.worker.looking import Looking
from hotqueue.tasks.worker.membership import RETRY_AFTER
from hotqueue.tasks.worker.outlet import end_stream
from hotqueue.tasks.worker.prepare import Ready
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.several_servers import HASTY, Places
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.subscription import Subscription

T = TypeVar("T")
NEARLY = 1100  # ms: what is due so soon, a burst waits for; the next tasks of so many a second are
log = logging.getLogger("hotqueue.worker")


class Worker(Looking):
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
        self._changing = ChangingQueues(self)
        self.adopt, self.let_go = self._changing.adopt, self._changing.let_go
        self._sleep_error = ""  # why the connections to the bells failed
        if self.is_spread:
            self._places = Places(self)

    @property
    def may_become_busy(self) -> bool:
        """True while this worker knows of tasks that wait, or are due within a second: a burst is not over."""
        return any(subscription.others or 0 <= subscription.due <= NEARLY for subscription in self.subscriptions)

    # --- life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until told to stop, or, in a burst, until nothing is left."""
        if not self._register():
            self.has_left = True
            self.presence.let_go()  # it may be registered: the reply may be what was lost
            self.idle.close()
            self.running.leave()
            self.presence.unmap()
            return
        self.look_later()
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
            self.presence.unmap()

    def _loop(self) -> None:
        raise NotImplementedError

    def _leave(self) -> None:
        """Settle what is done, put back what was not started, deregister."""
        places, self._places = self._places, None
        leave_queues = partial(leaving.leave_queues, self)
        if places is None:
            leaving.end_ahead(self, self.not_left())
        self.permits.drain()
        has_left = leave_queues(self.not_left()) if places is None else places.leave(leave_queues)
        if has_left:
            self.presence.close()
        else:
            self.presence.let_go()  # the file stays: a neighbour sees that we are dead, and that we ran nothing
        self.idle.close()

    # --- queues that come and go ---------------------------------------------------------------------------------

    def begin_at(self, number: int, registry: Registry) -> Subscription:
        """Begin to work at a queue more, under a number that is the next or was left; `register_late` is still to come."""
        subscription = self._subscription(number, registry)
        self.subscriptions[number:] = [subscription, *self.subscriptions[number + 1 :]]
        self._registries[number:] = [registry, *self._registries[number + 1 :]]
        self.turns.add(number, weight_of(self.shared.weights, registry.name))
        if not self.idle.add(number, registry.broker):
            self.look_soon()
        return subscription

    def register_late(self, subscriptions: list[Subscription]) -> None:
        """Announce this worker at queues that it has begun to work at."""
        if self._places is not None:
            self._places.adopt(subscriptions)
            return
        by_store: dict[int, list[Subscription]] = {}
        for subscription in subscriptions:
            by_store.setdefault(id(subscription.registry.store), []).append(subscription)
        for some in by_store.values():
            self._register_at(some)

    def end_at(self, subscription: Subscription) -> None:
        """Work at a queue no more."""
        subscription.has_left, subscription.may_have_tasks, subscription.must_recover = True, False, False
        self.attention.discard(subscription.index)
        self.idle.remove(subscription.index)
        self.idle.rang.discard(subscription.index)
        if self._places is not None:
            self._places.let_go(subscription, partial(deregister, subscription, self.presence.id))
        else:
            deregister(subscription, self.presence.id)

    # --- outcomes ------------------------------------------------------------------------------------------------

    def conclude(self, subscription: Subscription, ready: Ready, outcome: Outcome, seconds: float) -> None:
        """Decide what becomes of a task, and line that up to be settled."""
        if subscription.progress.open:
            subscription.progress.end(ready.delivery.id)
        signer = subscription.result_signer
        if outcome.ended is Ended.RETURNED:
            retries = ready.history.retries
            done = settlement.succeeded(ready.delivery, outcome.payload, retries, ready.options, subscription.now(), signer)
            subscription.settle_later(done)
            self.shared.count("succeeded")
            task_log.succeeded(ready, seconds, subscription.name, subscription.session.worker)
            return
        now = datetime_of(subscription.now()) if outcome.eta else None  # due by the server's time, like all
        action = decide(outcome, ready.options.retry_policy, ready.history, random=random.random, now=now)
        if action.error is not None:
            ready.delivery.error = task_log.in_one_line(action.error)
        if action.do is Do.REPLACE:
            subscription.session.know_steps()
        subscription.settle_later(settlement.of(action, ready.delivery, ready.past, ready.options, subscription.now(), signer))
        task = subscription.registry.definitions.get(ready.name)
        if task is not None and task.streams and ready.call is None and action.state is not None and ready.history.tries:
            end_stream(subscription.registry.broker, ready.delivery.id, ready.options)
        self.shared.count(action.do.name.lower())
        task_log.concluded(action, outcome, ready, seconds, subscription.name, subscription.session.worker)

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
        self._changing.take_in()

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
            elif not self.has_one_queue and not subscription.is_unavailable:
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

    def ring(self, subscription: Subscription, kind: str = "") -> None:
        """Wake another worker, of our kind if not said otherwise, for what is not for us."""
        if subscription.is_away:
            return  # and those who sleep there as well
        try:
            with subscription.registry.store.limited(HASTY if self._places is not None else COMMAND_TIMEOUT):
                subscription.registry.broker.ring(kind or self.kind)
        except HotQueueError as error:  # whoever sweeps rings again
            self._note_outage(error, subscription)

    def sleep(self, seconds: float) -> bool:
        """Wait for a bell, or for what is under way; tell whether one rang. A broken connection is waited out."""
        also = self._places.under_way() if self._places is not None else ()
        if seconds <= 0 and self.has_one_queue:
            return True
        is_due = any(subscription.until_due() <= seconds for subscription in self.attended())
        rang = self.patient(lambda: self.idle.wait(max(0.0, seconds), also, is_due)) is not False
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
