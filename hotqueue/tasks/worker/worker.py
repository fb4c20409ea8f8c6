"""One worker: step → execute → decide → step, over the queues of its process. A thread of a worker process runs one.

What both kinds share is here: registering, stepping, recovering, being given up, leaving. sync_worker.py runs tasks one at a
time, async_worker.py many. Neither pops a task and hopes: what is fetched is held in Redis until its outcome is settled.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError, QueueFull, SerializationError
from hotqueue.presence import Presence
from hotqueue.store.patience import COMMAND_TIMEOUT
from hotqueue.tasks.broker import together
from hotqueue.tasks.broker.session import Step, Stepped
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.rules.lifecycle import Ended, Outcome, decide
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker import failpoints, logbook, places
from hotqueue.tasks.worker.bell import LONGEST, Bell
from hotqueue.tasks.worker.ears import Ears
from hotqueue.tasks.worker.permits import Permits
from hotqueue.tasks.worker.places import Places
from hotqueue.tasks.worker.prepare import Ready
from hotqueue.tasks.worker.running import Running
from hotqueue.tasks.worker.shared import Shared
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.turns import Turns

if TYPE_CHECKING:
    pass

T = TypeVar("T")
log = logging.getLogger("hotqueue.worker")

SICK = 1.0  # seconds between two tries at a queue whose server refuses us
ASKED_EVERY = 0.15  # seconds for each queue until one that did not ring is asked all the same; LONGEST for few


class Worker:
    """What both kinds share: registering, stepping, recovering, being given up, leaving.

    Args:
        shared: what the workers of this process share.
        permits, running: shared with whoever may take tasks back, and judges whether this worker is well.
    """

    kind = ""

    def __init__(self, shared: Shared, registries: list[Registry], permits: Permits, running: Running) -> None:
        self.shared = shared
        self.permits = permits
        brokers = [registry.broker for registry in registries]
        self._places: Places | None = None
        self.is_spread = places.are_several(registries)
        self.bell = Bell(brokers, self.kind, waits_for_servers=not self.is_spread)
        self.running = running
        self._registries = registries
        self.turns = Turns([shared.weights.get(registry.name, 1) for registry in registries])
        self.ears = Ears(self.kind)
        self._outage = False
        self._deaf_because = ""  # why no bell can be heard
        self._is_stepping = False
        self._net = max(LONGEST, ASKED_EVERY * len(registries))
        self.has_left = False
        self._new_incarnation()
        if self.is_spread:
            self._places = Places(self)

    def _new_incarnation(self) -> None:
        self.presence = Presence(len(self.running.table))
        self.running.copy_to(self.presence.state)
        is_only = len(self._registries) == 1
        self.subscriptions = [
            Subscription(registry, self.presence.id, self.kind, self.wake, index, is_only)
            for index, registry in enumerate(self._registries)
        ]

    @property
    def facts(self) -> dict[str, str]:
        """What this worker announces of itself."""
        return {**self.shared.facts, "folder": self.presence.folder, "kind": self.kind}

    @property
    def stopping(self) -> bool:
        """True once nothing more is to be fetched."""
        return self.shared.stop.is_set()

    @property
    def is_idle(self) -> bool:
        """True while nothing is in hand, nor on its way here, nor may be at a server that does not answer."""
        return not (
            self._is_stepping
            or any(subscription.in_hand or subscription.ahead or subscription.is_away for subscription in self.subscriptions)
        )

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

    def _register(self) -> bool:
        """Announce ourselves at every queue; False when told to stop before that could be done."""
        if self._places is not None:
            self._places.begin()  # those that are there begin
        elif not all(self._register_at(subscription) for subscription in self._register_together()):
            return False
        self.shared.announce(self)
        return True

    def _register_together(self) -> list[Subscription]:
        """Register at many queues in one trip; return those where that was not done, but for those that were refused."""
        if len(self.subscriptions) == 1:
            return self.subscriptions
        sessions = [subscription.session for subscription in self.subscriptions]
        try:
            answers = together.register(sessions, self.shared.lease_ms, self.facts)
        except HotQueueError:
            return self.subscriptions
        for subscription, failed in zip(self.subscriptions, answers, strict=True):
            subscription.is_registered = failed is None
            if failed is not None:
                self.note_refusal(subscription, failed)
        return []

    def _register_at(self, subscription: Subscription) -> bool:
        while True:
            try:
                subscription.registry.store.repeat(
                    lambda: subscription.session.register(self.shared.lease_ms, self.facts),
                    patience=SICK,
                    stop=self.shared.stop,
                )
                subscription.is_registered = True
                return True
            except (ConnectionFailed, ConfigError) as error:
                if self.shared.stop.is_set():
                    return False
                if isinstance(error, ConnectionFailed) and error.retry:
                    self._note_outage(error)
                else:
                    self.note_refusal(subscription, error)
                if self.shared.stop.wait(SICK):
                    return False

    def _leave(self) -> None:
        """Settle what is done, put back what was not started, strike ourselves off."""
        beside, self._places = self._places, None
        if beside is None:
            self._end_ahead(self.subscriptions)
        self.permits.drain()
        has_left = self._leave_queues(self.subscriptions) if beside is None else beside.leave(self._leave_queues)
        if has_left:
            self.presence.close()
        else:
            self.presence.let_go()  # the file stays: a neighbour sees that we are dead, and that we ran nothing
        self.bell.close()

    def _end_ahead(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            if subscription.ahead is not None:
                step, subscription.ahead = subscription.ahead, None
                self.end(subscription, step, are_permits_out=True)

    def _leave_queues(self, subscriptions: Sequence[Subscription]) -> bool:
        """Leave queues of one server, in as few trips as may be: one that is silent costs as long for many as for one."""
        self._end_ahead(subscriptions)
        settled = [subscription for subscription in subscriptions if self._settle_last(subscription)]
        return self._strike_off(settled) and len(settled) == len(subscriptions)

    def _settle_last(self, subscription: Subscription) -> bool:
        """Settle what is done and put back what was not started; False when that could not be."""
        subscription.unsettled += [settlement.put_back(delivery) for delivery in subscription.unstarted]
        subscription.unstarted.clear()
        try:
            self.settle_all(subscription)
        except HotQueueError as error:
            return self._say_not_left([subscription], str(error))
        finally:
            subscription.courier.drop()  # others have it, or will
        return self._say_not_left([subscription], subscription.refusal) if subscription.is_given_up else True

    def _strike_off(self, subscriptions: Sequence[Subscription]) -> bool:
        try:
            if len(subscriptions) == 1:
                subscriptions[0].registry.broker.reap(self.presence.id, known_dead=True)
                return True
            brokers = [subscription.registry.broker for subscription in subscriptions]
            return not brokers or not any(together.strike_off(brokers, self.presence.id))
        except HotQueueError as error:
            return self._say_not_left(subscriptions, str(error))

    def _say_not_left(self, subscriptions: Sequence[Subscription], why: str) -> bool:
        queues = logbook.queues(subscription.name for subscription in subscriptions)
        log.warning("could not take leave of %s: %s; others put in order what it held", queues, why)
        return False

    # --- stepping ------------------------------------------------------------------------------------------------

    def step(self, subscription: Subscription, room: int) -> Stepped | None:
        """Settle a subscription's outcomes and fetch up to `room` tasks into it; None when that failed and was recovered from."""
        self._is_stepping = True
        try:
            return self._step(subscription, room)
        finally:
            self._is_stepping = False

    def _step(self, subscription: Subscription, room: int) -> Stepped | None:
        if self._places is not None:
            return self._places.step(subscription, room)
        if (
            subscription.may_be_wrong
            and subscription.ahead is None
            and not subscription.is_sick
            and not self._recover(subscription)
        ):
            return None
        while room and subscription.has_more_than_a_trip:
            if self._step(subscription, 0) is None:
                return None
        step = self.begin(subscription, room)
        return None if step is None else self.end(subscription, step)

    def begin(self, subscription: Subscription, room: int) -> Step | None:
        """Send a step; None when that failed and was recovered from."""
        self.running.progress()
        if subscription.is_sick or (subscription.must_recover and not self._recover(subscription)):
            return None
        settlements = subscription.take_unsettled()
        if failpoints.IS_ARMED and settlements:
            failpoints.at("before_settle")
        try:
            return subscription.session.begin(room, settlements)
        except (ConnectionFailed, ConfigError, SerializationError) as error:
            self.step_failed(subscription, settlements, error)
            return None
        except BaseException:  # Ctrl-C: whether it arrived is unknown
            subscription.must_recover = True
            subscription.unsettle(settlements)
            raise

    def end(self, subscription: Subscription, step: Step, are_permits_out: bool = False) -> Stepped | None:
        """Wait for what a step brings, and put it in line.

        Args:
            are_permits_out: permits for all of its room were put in when it was sent.
        """
        sent = step.actions
        try:
            stepped = step.end()
        except QueueFull as error:  # an empty fetch is all that a full server can refuse
            subscription.unsettle(sent)
            self._note_outage(error, subscription)
            self._withdraw(
                subscription, step, are_permits_out
            )  # nothing recovers: every sleep would add as many, until the pipe is full
            return None
        except (ConnectionFailed, ConfigError, SerializationError) as error:
            self._withdraw(subscription, step, are_permits_out)
            self.step_failed(subscription, sent, error)
            return None
        except BaseException:  # as in `begin`
            subscription.must_recover = True
            subscription.unsettle(sent)
            raise
        if self._outage:  # every task passes here
            self._end_outage(subscription)
        subscription.refusal = ""
        if stepped.gone:
            subscription.note_gone(stepped.gone, sent)
        subscription.settled(sent)
        if not stepped.alive:
            self._given_up(subscription)
            return None
        if not (are_permits_out or subscription.ahead or subscription.unstarted):
            self.permits.withdraw_all(subscription.index)  # what an error may have left: nothing is in line now
        subscription.took(stepped, step.room)
        if failpoints.IS_ARMED and sent:
            failpoints.at("after_settle")
        if failpoints.IS_ARMED and stepped.deliveries:
            failpoints.at("after_fetch")
        if are_permits_out:
            self.permits.withdraw(step.number, step.room - len(stepped.deliveries), subscription.index)
        elif stepped.deliveries:
            self.permits.add(step.number, len(stepped.deliveries), subscription.index)
        return stepped

    def step_failed(self, subscription: Subscription, sent: Sequence[Settlement], error: HotQueueError) -> None:
        """Wait for a server that is away; of what it refused, keep apart what it may have refused it for."""
        if isinstance(error, ConnectionFailed):
            if error.retry or not sent:
                subscription.cut_off(sent)
            else:
                subscription.refused(sent)
            self._note_outage(error, subscription)
            self._recover(subscription)
        elif sent:
            subscription.refused(sent)
            self._recover(subscription)
        else:
            self.note_refusal(subscription, error)

    def _withdraw(self, subscription: Subscription, step: Step, are_permits_out: bool) -> None:
        if are_permits_out:
            self.permits.withdraw(step.number, step.room, subscription.index)

    def settle(self, subscription: Subscription) -> None:
        """Settle what is done, and fetch nothing."""
        while subscription.unsettled and not subscription.is_sick:
            if self.step(subscription, 0) is None and self._places is not None:
                return  # it is under way, and settled later

    def settle_all(self, subscription: Subscription) -> None:
        """Settle what is done, and wait for what is settled apart: as long as that can be of use."""
        self.settle(subscription)
        courier = subscription.courier
        while not (courier.is_empty or courier.is_stuck) and (not self.stopping or self.shared.may_wait):
            self.running.progress()
            courier.wait(0.2)

    def _recover(self, subscription: Subscription) -> bool:
        """After any error, and now and then: find out what we hold, until that is known or nobody asks; False if refused.

        False as well where that is found out beside us, because other queues are at other servers.
        """
        if self._places is not None:
            self._places.recover(subscription)
            return False
        self.abandon(subscription)

        def recover() -> list[Delivery] | None:
            self.running.progress()  # waiting for Redis is not being stuck
            try:
                if subscription.is_registered:
                    return subscription.session.recover(list(subscription.in_hand))
                subscription.session.register(self.shared.lease_ms, self.facts)
                subscription.is_registered = True
                return []
            except ConnectionFailed as error:
                self._note_outage(error)
                raise

        try:
            found = self._patiently(subscription, recover)
        except (ConnectionFailed, ConfigError) as error:
            self.note_refusal(subscription, error)
            if self.stopping:
                subscription.give_up()
            return False
        if self._outage or subscription.must_recover:
            self.bell.start_over()
        self._end_outage(subscription)
        self.recovered(subscription, found)
        return True

    def recovered(self, subscription: Subscription, found: list[Delivery] | None) -> None:
        """Take in what was found to be held; None: this worker was given up there."""
        subscription.must_recover = False
        subscription.recovered_at = time.monotonic()
        if found is None:
            self._given_up(subscription)
        elif found:
            subscription.accept(found)
            self.permits.add(subscription.session.number, len(found), subscription.index)

    def _patiently(self, subscription: Subscription, operation: Callable[[], T]) -> T:
        """Wait for Redis as long as it takes; once told to stop, only while there is something to settle, and time."""
        while True:
            try:
                return subscription.registry.store.repeat(operation, patience=None, stop=self.shared.stop)
            except ConnectionFailed as error:
                if not (error.retry and subscription.unsettled and self.shared.may_wait):
                    raise
                self.shared.hurry.wait(0.1)

    def note_refusal(self, subscription: Subscription, error: HotQueueError) -> None:
        """The server answers, but not as it should: somebody has to act. Say so once; leave this queue alone for a while."""
        self._say_refused(subscription, error)
        subscription.must_recover = True
        subscription.sick_until = time.monotonic() + SICK

    def _say_refused(self, subscription: Subscription, error: HotQueueError) -> None:
        if str(error) != subscription.refusal and not self.stopping:
            log.error("queue %s: %s; trying again until it is put right", subscription.name, error)
        subscription.refusal = str(error)

    def abandon(self, subscription: Subscription) -> None:
        """Give up a step that fetches ahead: `recover` hands over what it brought, under another number."""
        if subscription.ahead is None:
            return
        subscription.ahead.abandon()
        subscription.unsettle(subscription.ahead.actions)
        subscription.ahead = None
        self.permits.withdraw_all(
            subscription.index
        )  # of the tasks in line as well; whoever drained before us has put these back
        for delivery in subscription.unstarted:
            subscription.in_hand.pop(delivery.id, None)
        subscription.unstarted.clear()

    def _note_outage(self, error: Exception, subscription: Subscription | None = None) -> None:
        if self._places is not None and subscription is not None:
            self._places.note_outage(subscription, error)
            return
        if self.shared.outages.begin("", self):
            log.warning("%s; trying again until it answers", error)
        self._outage = True

    def _end_outage(self, subscription: Subscription) -> None:
        if self.shared.outages.end("", self):
            log.info("queue %s answers again", subscription.name)
        self._outage = False

    def _given_up(self, subscription: Subscription) -> None:
        """Others have our tasks: forget them, take a new name, go on."""
        log.warning(
            "worker %s was given up at queue %s (its lease ran out, or its keys are gone); it goes on", *self._who(subscription)
        )
        if len(self.subscriptions) > 1:
            self._given_up_at(subscription)
            return
        self.give_up_running_of(subscription.index)
        self.permits.drain()
        old = self.presence
        self._new_incarnation()
        self._register()
        old.close()

    def _given_up_at(self, subscription: Subscription) -> None:
        """Forget what we held at one of several queues, and go on there under the same name; what others sent goes on as well.

        Fetches are numbered on, so that nothing of before is taken for anything of now.
        """
        self.give_up_running_of(subscription.index)
        self.permits.withdraw_all(subscription.index)
        subscription.lost()
        subscription.is_registered, subscription.must_recover, subscription.is_rung = False, True, True

    def _who(self, subscription: Subscription) -> tuple[str, str]:
        return self.presence.id, subscription.name

    def give_up_running_of(self, queue: int) -> None:
        """Let running tasks of a queue, given by its number, know that they are lost; for any thread."""

    def wake(self) -> None:
        """End a sleep."""
        self.bell.wake()

    # --- outcomes ------------------------------------------------------------------------------------------------

    def conclude(self, subscription: Subscription, ready: Ready, outcome: Outcome, seconds: float) -> None:
        """Decide what becomes of a task, and line that up to be settled."""
        signer = subscription.result_signer
        if outcome.ended is Ended.RETURNED:
            retries = ready.history.retries
            done = settlement.succeeded(ready.delivery, outcome.payload, retries, ready.options, subscription.now(), signer)
            subscription.settle_later(done)
            self.shared.count("succeeded")
            logbook.succeeded(ready, seconds)
            return
        now = datetime_of(subscription.now()) if outcome.eta else None  # due by the server's time, like all
        action = decide(outcome, ready.options.retry_policy, ready.history, random=random.random, now=now)
        subscription.settle_later(settlement.of(action, ready.delivery, ready.history, ready.options, subscription.now(), signer))
        self.shared.count(action.do.name.lower())
        logbook.concluded(action, outcome, ready, seconds)

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
            subscription.is_rung
            or subscription.unsettled
            or subscription.unstarted
            or subscription.ahead
            or subscription.may_unpark
        )
        return is_open or subscription.may_be_wrong

    def is_stale(self, subscription: Subscription) -> bool:
        """Tell whether it is long ago that a queue was asked: a net under the bells, wide where there are many."""
        return time.monotonic() - subscription.looked_at > self._net

    def hear(self) -> None:
        """Take in which bells rang, and what others found out beside us."""
        while self.bell.rung:
            self.subscriptions[self.bell.rung.pop()].is_rung = True
        while self.bell.wrong:
            queue, why = self.bell.wrong.popitem()
            self._say_refused(self.subscriptions[queue], why)
        if self._places is not None:
            self._places.conclude()

    def next_due(self) -> float:
        """Return seconds until the next scheduled task of our queues, at most LONGEST; promotes what is due."""
        wait = LONGEST
        for subscription in self.subscriptions:
            if subscription.is_away:
                continue
            if self._places is not None and (left := self._places.until_answer(subscription)) is not None:
                wait = min(wait, left)
                continue
            if subscription.due == 0 and not (self._places is not None and subscription.is_sick):
                self._promote(subscription)
                return SICK if subscription.is_sick else 0.0
            wait = min(wait, SICK if subscription.is_sick else subscription.until_look())
            if subscription.due > 0:
                wait = min(wait, subscription.due / 1000)
            if len(self.subscriptions) > 1 and not subscription.is_sick:
                wait = min(wait, max(0.0, subscription.looked_at + self._net - time.monotonic()))
        return wait

    def _promote(self, subscription: Subscription) -> None:
        if self._places is not None:
            self._places.promote(subscription)
            return
        try:
            subscription.due = subscription.registry.broker.promote()
            subscription.is_rung = True
        except ConnectionFailed as error:
            self._note_outage(error)
        except ConfigError as error:
            self.note_refusal(subscription, error)

    def ring(self, subscription: Subscription) -> None:
        """Wake another worker of our kind, for what is not for us."""
        if subscription.is_away:
            return  # and those who sleep there as well
        try:
            with subscription.registry.store.limited(places.HASTY if self._places is not None else COMMAND_TIMEOUT):
                subscription.registry.broker.ring(self.kind)
        except HotQueueError as error:  # whoever sweeps rings again
            self._note_outage(error, subscription)

    def sleep(self, seconds: float) -> bool:
        """Wait for a bell, or for what is under way; tell whether one rang. A broken connection is waited out."""
        also = self._places.under_way() if self._places is not None else ()
        if seconds <= 0 and len(self.subscriptions) == 1:
            return True
        rang = self.patient(lambda: self.bell.wait(max(0.0, seconds), also)) is not False
        self.hear()
        return rang

    def patient(self, wait: Callable[[], T]) -> T | None:
        """Wait for a bell; None when that failed, after a pause."""
        try:
            found = wait()
            if self.bell.is_connected:
                self._deaf_because = ""
            return found
        except ConnectionFailed as error:
            if str(error) != self._deaf_because:  # once: steps may go on over other connections, and would have it said again
                self._note_outage(error)
            self._deaf_because = str(error)
            self.running.progress()
            self.shared.stop.wait(0.1)
        except ConfigError as error:  # a bell of the wrong type
            self.note_refusal(self.subscriptions[0], error)
            self.shared.stop.wait(SICK)
        return None
