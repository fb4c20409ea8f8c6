"""Leaving all places of a worker side by side: none waits for one that does not answer. What leaving one is, leaving.py says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hotqueue.tasks.worker.one_server import Place
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

PATIENCE = 0.5  # seconds until a server at which its thread is busy is taken for one that is away, by a worker that leaves


def leave_all(places: list[Place], worker: Stepping, leave: Callable[[Sequence[Subscription]], bool]) -> bool:
    """Leave places side by side; one that is away is waited for only if there is something to settle.

    Its thread may just be looking, or registering, at a server that is there: so much time it has.
    """
    may_be_there_until = time.monotonic() + PATIENCE
    left: set[Place] = set()
    leaving: set[Place] = set()
    count = len(places)

    def leave_place(place: Place) -> None:
        if leave(place.subscriptions):
            left.add(place)

    while places:
        for place in list(places):
            place.background.conclude()
            if place.background.is_free and place not in leaving:
                leaving.add(place)
                for subscription in place.subscriptions:
                    subscription.is_away = False
                place.background.begin(lambda place=place: leave_place(place))  # type: ignore[misc]
            elif place.background.is_free or not (
                place in leaving or place.has_unsettled or time.monotonic() < may_be_there_until
            ):
                places.remove(place)
        if not worker.shared.may_wait:
            break
        worker.running.progress()
        if places:
            places[0].background.wait(0.02)
    return len(left) == count
