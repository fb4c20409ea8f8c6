"""Peeking: which queues may have tasks, while a worker is too busy with others to sleep at their bells.

Takes no wake token: those are for workers that sleep.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.worker.several_servers import HASTY
from hotqueue.tasks.worker.subscription import Subscription

LOOK_AROUND = 0.010  # seconds after which a busy worker looks at its other queues
FEW = 4  # of these are asked themselves, not their bells
WORK_TO_LOOK = 9.0  # times as long it works as it looks at many bells


class Peeking:
    """The looks of one worker at its other queues.

    Args:
        kind: "s" or "a": which bells.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._look_at = 0.0

    def look(self, subscriptions: Sequence[Subscription], busy: int = -1) -> None:
        """Note which queues may have tasks, but for the one at number `busy`: no other worker may be idle. Not too often."""
        began = time.monotonic()
        if began < self._look_at:
            return
        by_store: dict[int, list[Subscription]] = {}
        for subscription in subscriptions:
            if subscription.index != busy and not (subscription.may_have_tasks or subscription.is_away):
                by_store.setdefault(id(subscription.place or subscription.registry.store), []).append(subscription)
        for some in by_store.values():
            for subscription, found in zip(some, self._may_have_tasks(some), strict=True):
                subscription.may_have_tasks = subscription.may_have_tasks or found
        now = time.monotonic()
        self._look_at = now + max(LOOK_AROUND, WORK_TO_LOOK * (now - began))

    def _may_have_tasks(self, subscriptions: list[Subscription]) -> list[bool]:
        if len(subscriptions) <= FEW:
            return [time.monotonic() - subscription.looked_at > LOOK_AROUND for subscription in subscriptions]
        try:
            with subscriptions[0].registry.store.limited(HASTY):
                return many_queues.have_wake_tokens([subscription.registry.broker for subscription in subscriptions], self._kind)
        except HotQueueError:
            return [True] + [False] * (len(subscriptions) - 1)  # whoever asks one sees what is wrong
