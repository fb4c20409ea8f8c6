"""Stepping: a step settles what is done at a queue and fetches what comes next, in one trip."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError, QueueFull, SerializationError, newer_queue
from hotqueue.keys import SCHEMA
from hotqueue.tasks.broker.session import Step, Stepped
from hotqueue.tasks.wire.settlement import Settlement
from hotqueue.tasks.worker import failpoints
from hotqueue.tasks.worker.inputs import hand_on
from hotqueue.tasks.worker.recovery import Recovery
from hotqueue.tasks.worker.subscription import Subscription

LET_ALONE = 0.01  # seconds for which a worker waits that is kept from fetching, before it looks again


class Stepping(Recovery):
    """A worker that makes steps.

    1. `step` looks whether it is time to ask what we hold, and does (`_recover`).
    2. `begin` sends what is unsettled, and for how many tasks there is room.
    3. `end` waits for the reply: what was carried out is settled, what came is put in line, with a permit for each.
    4. Where that failed, `step_failed` has the settlements wait for the next step, and recovers.
    """

    def step(self, subscription: Subscription, room: int) -> Stepped | None:
        """Settle a subscription's outcomes and fetch up to `room` tasks into it.

        None when that failed and was recovered from; or when nothing is to be fetched, as another worker runs a suspect alone.
        """
        if self.shared.runs_alone is not None and self._is_kept_out(room):
            self.shared.stop.wait(LET_ALONE)
            return None
        self._is_stepping = True
        try:
            if self.shared.runs_alone is not None and self._is_kept_out(room):  # since then: who runs one asks whether we step
                return None
            return self._step(subscription, room)
        finally:
            self._is_stepping = False

    def _is_kept_out(self, room: int) -> bool:
        return room > 0 and self.shared.runs_alone is not self

    def _step(self, subscription: Subscription, room: int) -> Stepped | None:
        if subscription.is_newer and time.monotonic() < subscription.fetch_at:
            subscription.may_have_tasks = False
            if not subscription.unsettled:
                return None
            room = 0
        if self._places is not None:
            return self._places.step(subscription, room)
        if (
            subscription.may_be_wrong
            and subscription.ahead is None
            and not subscription.is_unavailable
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
        if subscription.is_unavailable or (subscription.must_recover and not self._recover(subscription)):
            return None
        settlements = subscription.take_unsettled()
        if room:
            subscription.may_have_more = False
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
            # Nothing recovers: every sleep would add as many, until the pipe is full.
            self._withdraw(subscription, step, are_permits_out)
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
        self._note_age(subscription, step, stepped)
        if stepped.gone:
            subscription.note_gone(stepped.gone, sent)
        subscription.settled(sent)
        if not stepped.alive:
            self._given_up(subscription)
            return None
        if not (are_permits_out or subscription.ahead or subscription.unstarted):
            self.permits.withdraw_all(subscription.index)  # what an error may have left: nothing is in line now
        self._take(subscription, step, stepped)
        if failpoints.IS_ARMED and sent:
            failpoints.at("after_settle")
        if failpoints.IS_ARMED and stepped.deliveries:
            failpoints.at("after_fetch")
        if are_permits_out:
            self.permits.withdraw(step.number, step.room - len(stepped.deliveries), subscription.index)
        elif stepped.deliveries:
            self.permits.add(step.number, len(stepped.deliveries), subscription.index)
        return stepped

    def _take(self, subscription: Subscription, step: Step, stepped: Stepped) -> None:
        """Put in line what a step brought."""
        if step.actions and subscription.session.follows:
            hand_on(step.actions, stepped.gone, stepped.deliveries)
        subscription.took(stepped, step.room)
        if step.room:
            subscription.sent_at, subscription.counted_at = step.sent_at, stepped.now
        if stepped.deliveries:
            self.running.marks.mark(subscription.index)

    def _note_age(self, subscription: Subscription, step: Step, stepped: Stepped) -> None:
        """Note whether a queue turned out to be newer than we are; only a fetch says so, and that it is not any more."""
        if stepped.newer:
            self.note_newer(subscription, newer_queue(subscription.name, stepped.newer, SCHEMA))
        elif step.room and subscription.is_newer:
            self.note_known(subscription)

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
        while subscription.unsettled and not subscription.is_unavailable:
            if self.step(subscription, 0) is None and self._places is not None:
                return  # it is under way, and settled later

    def settle_all(self, subscription: Subscription) -> None:
        """Settle what is done, and wait for what is settled apart: as long as that can be of use."""
        self.settle(subscription)
        settlements = subscription.slow_settlements
        while not (settlements.is_empty or settlements.is_stuck) and (not self.stopping or self.shared.may_wait):
            self.running.progress()
            settlements.wait(0.2)
