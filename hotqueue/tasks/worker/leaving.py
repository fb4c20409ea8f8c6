"""Leaving: a worker settles what is done, puts back what it did not start, and deregisters."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.worker import task_log
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

log = logging.getLogger("hotqueue.worker")

GOODBYE = 2.0  # seconds for what others put in order as well: as long as upkeep waits (rounds.py), so that grace is for tasks


def end_ahead(worker: Stepping, subscriptions: Sequence[Subscription]) -> None:
    """Take in what the last step ahead brings, so that it goes back with the rest."""
    for subscription in subscriptions:
        if subscription.ahead is not None:
            step, subscription.ahead = subscription.ahead, None
            if not (step.actions or step.has_answered(GOODBYE)):
                step.abandon()  # what it fetches, if it still does, goes back as we are deregistered, or is refused after that
                continue
            worker.end(subscription, step, are_permits_out=True)


def leave_queues(worker: Stepping, subscriptions: Sequence[Subscription]) -> bool:
    """Leave queues of one server, in as few trips as may be: one that is silent costs as long for many as for one."""
    end_ahead(worker, subscriptions)
    settled = [subscription for subscription in subscriptions if _settle_last(worker, subscription)]
    return _deregister(worker, settled) and len(settled) == len(subscriptions)


def _settle_last(worker: Stepping, subscription: Subscription) -> bool:
    """Settle what is done and put back what was not started; False when that could not be."""
    subscription.unsettled += [settlement.put_back(delivery) for delivery in subscription.unstarted]
    subscription.unstarted.clear()
    try:
        worker.settle_all(subscription)
    except HotQueueError as error:
        return _say_not_left([subscription], str(error))
    finally:
        subscription.slow_settlements.drop()  # others have it, or will
    return _say_not_left([subscription], subscription.refusal) if subscription.is_given_up else True


def _deregister(worker: Stepping, subscriptions: Sequence[Subscription]) -> bool:
    brokers = [subscription.registry.broker for subscription in subscriptions]
    if not brokers:
        return True
    try:
        with brokers[0].store.limited(GOODBYE):
            if len(brokers) > 1:
                return not any(many_queues.deregister(brokers, worker.presence.id))
            brokers[0].reap(worker.presence.id, known_dead=True)
            return True
    except HotQueueError as error:
        return _say_not_left(subscriptions, str(error))


def _say_not_left(subscriptions: Sequence[Subscription], why: str) -> bool:
    queues = task_log.queues(subscription.name for subscription in subscriptions)
    log.warning("could not leave %s: %s; others put in order what it held", queues, why)
    return False
