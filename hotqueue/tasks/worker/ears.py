"""Ears: which queues ring while a worker is too busy with others to sleep at their bells.

Takes no ring from who sleeps.
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
FOR_LISTENING = 9.0  # times as long it works as it listens to many bells


class Ears:
    """Those of one worker.

    Args:
        kind: "s" or "a": which bells.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._listen_at = 0.0

    def listen(self, subscriptions: Sequence[Subscription], busy: int = -1) -> None:
        """Note which queues ring, but for the one at number `busy`: nobody may be there who sleeps. Not too often."""
        began = time.monotonic()
        if began < self._listen_at:
            return
        by_store: dict[int, list[Subscription]] = {}
        for subscription in subscriptions:
            if subscription.index != busy and not (subscription.is_rung or subscription.is_away):
                by_store.setdefault(id(subscription.place or subscription.registry.store), []).append(subscription)
        for some in by_store.values():
            for subscription, rings in zip(some, self._ring_at(some), strict=True):
                subscription.is_rung = subscription.is_rung or rings
        now = time.monotonic()
        self._listen_at = now + max(LOOK_AROUND, FOR_LISTENING * (now - began))

    def _ring_at(self, subscriptions: list[Subscription]) -> list[bool]:
        if len(subscriptions) <= FEW:
            return [time.monotonic() - subscription.looked_at > LOOK_AROUND for subscription in subscriptions]
        try:
            with subscriptions[0].registry.store.limited(HASTY):
                return many_queues.rung([subscription.registry.broker for subscription in subscriptions], self._kind)
        except HotQueueError:
            return [True] + [False] * (len(subscriptions) - 1)  # whoever asks one sees what is wrong
