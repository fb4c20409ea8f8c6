"""Recovery: after an error, and now and then, a worker asks what it holds; given up, it begins anew."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.tasks.broker.maintenance import stays
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker.membership import Membership
from hotqueue.tasks.worker.subscription import Subscription

T = TypeVar("T")

log = logging.getLogger("hotqueue.worker")


class Recovery(Membership):
    """A worker that finds out what it holds."""

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
                if not subscription.is_registered:
                    subscription.session.register(self.shared.lease_ms, self.facts, stays(len(self.subscriptions)))
                    subscription.note_registered()
                return subscription.session.recover(list(subscription.in_hand))  # also of one whose registration alone was lost
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
            self.idle.start_over(self.to_be_asked(self.subscriptions))
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
            subscription.sent_at, subscription.counted_at = 0.0, 0
            self.running.marks.mark(subscription.index)
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

    def abandon(self, subscription: Subscription) -> None:
        """Give up a step that fetches ahead: `recover` hands over what it brought, under another number."""
        if subscription.ahead is None:
            return
        subscription.ahead.abandon()
        subscription.unsettle(subscription.ahead.actions)
        subscription.ahead = None
        # Those of the tasks in line as well; whoever drained before us has put these back.
        self.permits.withdraw_all(subscription.index)
        for delivery in subscription.unstarted:
            subscription.in_hand.pop(delivery.id, None)
        subscription.unstarted.clear()

    def _given_up(self, subscription: Subscription) -> None:
        """Others have our tasks: forget them, take a new name, go on."""
        text = "worker %s was given up at queue %s (its lease ran out, or its keys are gone); it goes on"
        log.warning(text, self.presence.id, subscription.name)
        if not self.has_one_queue:
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
        subscription.is_registered, subscription.must_recover, subscription.may_have_tasks = False, True, True
