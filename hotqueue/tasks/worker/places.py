"""Places: where a worker's queues are at several servers, or nodes of a Cluster, what it waits for at one keeps it from no other.

A reply is waited for a moment, then it is left under way and the others have their turn. What takes more than one trip
(registering, recovering, promoting) is done by a thread for each place, which ends with it; of a place that does not answer it
tries again until it does, and until then nothing else is sent there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.runtime.background import Background
from hotqueue.store.patience import COMMAND_TIMEOUT
from hotqueue.store.store import Store
from hotqueue.tasks.broker import together
from hotqueue.tasks.broker.session import DOING, Stepped
from hotqueue.tasks.broker.together import Found
from hotqueue.tasks.worker import logbook
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

MOMENT = 0.005  # seconds that the worker waits for a reply before the others have their turn
HASTY = 0.25  # seconds that it waits for what cannot be left under way: a connection that has to be made
SHORTEST, LONGEST = 0.02, 1.0  # seconds between two tries at a place that is away

T = TypeVar("T")

log = logging.getLogger("hotqueue.worker")


class Place:
    """One server, or node of a Cluster, as one worker works with it.

    Args:
        where: the store and what it calls this place, the same for all workers of a process.
        ended: wakes the worker when a thread is done.

    Attributes:
        background: the thread, while there is one.
        asked: the queue whose step is under way; since when (monotonic).
        is_prompt: the last step was answered within a moment, so that the next one is waited for as long.
    """

    def __init__(self, where: tuple[int, str], ended: Callable[[], None]) -> None:
        self.where = where
        self.subscriptions: list[Subscription] = []
        self.background = Background(ended)
        self.asked: Subscription | None = None
        self.since = 0.0
        self.is_prompt = True


class Places:
    """The places of one worker."""

    def __init__(self, worker: Stepping) -> None:
        self._worker = worker
        self._places: dict[tuple[int, str], Place] = {}

    def begin(self) -> None:
        """Register the worker everywhere, beside it."""
        self._group(self._worker.subscriptions)
        for store in {
            id(subscription.registry.store): subscription.registry.store for subscription in self._worker.subscriptions
        }.values():
            place = self._places[id(store), ""] if not store.is_cluster else Place((id(store), ""), self._worker.wake)
            if not store.is_cluster:
                self._bring_back(place)
                continue
            self._places[id(store), ""] = place  # until it is known which nodes there are
            place.subscriptions = [
                subscription for subscription in self._worker.subscriptions if subscription.registry.store is store
            ]
            for subscription in place.subscriptions:
                subscription.place, subscription.is_away = place, True
            place.background.begin(partial(self._reach, place, store), self._know_nodes)

    def _group(self, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            store = subscription.registry.store
            where = (id(store), store.place_of(keys.tasks(subscription.name)))
            place = self._places.setdefault(where, Place(where, self._worker.wake))
            if subscription.place is not place:
                if subscription.place is not None:
                    subscription.place.subscriptions.remove(subscription)
                    if subscription.place.asked is subscription:
                        subscription.place.asked = None
                place.subscriptions.append(subscription)
                subscription.place = place

    def _know_nodes(self, client: object) -> None:
        if client is not None:
            self._group(list(self._worker.subscriptions))
        for place in list(self._places.values()):
            if place.background.is_free and any(not subscription.is_registered for subscription in place.subscriptions):
                self._bring_back(place)

    # --- in the worker's thread ----------------------------------------------------------------------------------

    def conclude(self) -> None:
        """Take in what the threads have found out."""
        for place in list(self._places.values()):
            place.background.conclude()
        deaf = self._worker.bell.deaf
        unheard = [self._worker.subscriptions[queue] for queue in deaf if not self._worker.subscriptions[queue].is_away]
        for subscription in unheard:
            why = deaf.pop(subscription.index)
            if isinstance(why, ConnectionFailed):
                self._say_away(subscription.place, why)
            self._doubt(subscription)
        for place in {subscription.place for subscription in unheard}:  # all of a place together: they went silent together
            if place.background.is_free:
                self._bring_back(place)

    def until_answer(self, subscription: Subscription) -> float | None:
        """Return how long at most to wait for the step that is under way where a queue is; None where there is none.

        Until then there is nothing to ask this queue: what has answered can be read, and ends the sleep.
        """
        place: Place | None = subscription.place
        if place is None or place.asked is None or place.asked.ahead is None:
            return None
        return max(0.0, place.since + COMMAND_TIMEOUT - time.monotonic())

    def under_way(self) -> list[int]:
        """Return the descriptors of the steps that are under way."""
        return [place.asked.ahead.fileno() for place in self._places.values() if place.asked is not None and place.asked.ahead]

    def step(self, subscription: Subscription, room: int) -> Stepped | None:
        """Send a step, or look whether the one under way has been answered; None while it has not."""
        worker, place = self._worker, subscription.place
        if place is None or not place.background.is_free or subscription.is_sick:
            return None
        moment = 0.0
        if subscription.ahead is None:
            if place.asked is not None and place.asked.ahead is not None:
                return None
            if subscription.may_be_wrong:
                self.recover(subscription)
                return None
            if not self._send(place, subscription, room):
                return None
            moment = MOMENT if place.is_prompt else 0.0
        assert subscription.ahead is not None
        if not subscription.ahead.has_answered(moment):
            place.is_prompt = False
            if time.monotonic() - place.since > COMMAND_TIMEOUT:
                self._give_up(place, subscription)
            return None
        place.asked, place.is_prompt = None, time.monotonic() - place.since < MOMENT
        step, subscription.ahead = subscription.ahead, None
        return worker.end(subscription, step, are_permits_out=True)

    def _send(self, place: Place, subscription: Subscription, room: int) -> bool:
        if room:
            self._worker.permits.add(subscription.session.number + 1, room, subscription.index)
        with subscription.registry.store.limited(HASTY):
            subscription.ahead = self._worker.begin(subscription, room)
        if subscription.ahead is None:
            self._worker.permits.withdraw_all(subscription.index)
            return False
        place.asked, place.since = subscription, time.monotonic()
        return True

    def _give_up(self, place: Place, subscription: Subscription) -> None:
        """Take no answer for an outage."""
        step, subscription.ahead, place.asked = subscription.ahead, None, None
        assert step is not None
        step.abandon()
        self._worker.permits.withdraw(step.number, step.room, subscription.index)
        error = subscription.registry.store.translated(TimeoutError("Timeout reading from socket"), DOING)
        self._worker.step_failed(subscription, step.actions, error)

    def recover(self, subscription: Subscription) -> None:
        """Find out, beside the worker, what it holds of a queue, as soon as that can be had."""
        self._doubt(subscription)
        if subscription.place is not None and subscription.place.background.is_free:
            self._bring_back(subscription.place)

    def _doubt(self, subscription: Subscription) -> None:
        self._worker.abandon(subscription)
        subscription.must_recover = True

    def promote(self, subscription: Subscription) -> None:
        """Have what is due of a queue made ready."""

        def then(due: int | None) -> None:
            if due is None:
                self.recover(subscription)
            else:
                subscription.due, subscription.is_rung = due, True

        self._beside(subscription, subscription.registry.broker.promote, then)

    def unpark(self, subscription: Subscription, room: int) -> None:
        """Have parked tasks go back that the worker can run."""

        def then(moved: int | None) -> None:
            if moved is None:
                self.recover(subscription)
            elif moved:
                subscription.is_rung = True
                self._worker.shared.wake_others(self._worker)

        self._beside(subscription, lambda: subscription.unpark(self._worker.kind, room), then)

    def _beside(self, subscription: Subscription, ask: Callable[[], int], then: Callable[[int | None], None]) -> None:
        place = subscription.place
        if place is None or not place.background.is_free:
            return

        def asked() -> int | None:
            try:
                return ask()
            except ConnectionFailed as error:
                self._say_away(place, error)
                return None
            except HotQueueError as error:
                self._worker.note_refusal(subscription, error)
                return -1

        place.background.begin(asked, then)

    def note_outage(self, subscription: Subscription, error: Exception) -> None:
        """Tell once a process that a place does not answer."""
        if subscription.place is not None:
            self._say_away(subscription.place, error)

    def _say_away(self, place: Place, error: Exception) -> None:
        if self._worker.shared.outages.begin(place.where, self._worker):
            log.warning("%s; trying again until it answers, the other queues go on", error)

    def _say_back(self, place: Place, subscriptions: Iterable[Subscription]) -> None:
        if self._worker.shared.outages.end(place.where, self._worker) and (names := [each.name for each in subscriptions]):
            log.info("%s answer%s again", logbook.queues(names), "s" * (len(names) == 1))

    # --- beside it -----------------------------------------------------------------------------------------------

    def _bring_back(self, place: Place) -> None:
        wanted = [
            subscription for subscription in place.subscriptions if not subscription.is_registered or subscription.may_be_wrong
        ]
        for subscription in place.subscriptions:
            subscription.is_away = True
        place.background.begin(lambda: self._find(place, wanted), lambda found: self._came_back(place, found))

    def _reach(self, place: Place, cluster: Store) -> object:
        """Connect to a Cluster, which then says what nodes it has; None as of `_ask`."""
        client = self._ask(place, cluster.client)
        if client is not None:
            self._say_back(place, list(place.subscriptions))
        return client

    def _find(self, place: Place, wanted: list[Subscription]) -> list[tuple[Subscription, Found]]:
        found = self._ask(place, lambda: self._find_out(wanted))
        if found is not None:  # said here: the worker may be at a long task
            self._say_back(place, wanted)
        return found or []

    def _ask(self, place: Place, ask: Callable[[], T]) -> T | None:
        """Ask until there is an answer; None once the worker is to leave and has nothing to settle there."""
        pause = SHORTEST
        while True:
            try:
                return ask()
            except ConnectionFailed as error:
                self._say_away(place, error)
            if self._worker.shared.stop.wait(pause):
                return None
            pause = min(LONGEST, 2 * pause)

    def _find_out(self, wanted: list[Subscription]) -> list[tuple[Subscription, Found]]:
        """Register, recover and listen, as far as each is needed, at all queues of a place in one trip each."""
        try:
            found = self._recovered([each for each in wanted if each.is_registered])
            found += self._registered([each for each in wanted if not each.is_registered])
        except HotQueueError as error:
            if isinstance(error, ConnectionFailed) and error.retry:
                raise
            return [(each, error) for each in wanted]
        return [(each, self._listening(each, what)) for each, what in found]

    def _recovered(self, subscriptions: list[Subscription]) -> list[tuple[Subscription, Found]]:
        in_hand = [list(each.in_hand) for each in subscriptions]
        answers = together.recover([each.session for each in subscriptions], in_hand) if subscriptions else []
        return list(zip(subscriptions, answers, strict=True))

    def _registered(self, subscriptions: list[Subscription]) -> list[tuple[Subscription, Found]]:
        worker, found = self._worker, list[tuple[Subscription, Found]]()
        sessions = [each.session for each in subscriptions]
        answers = together.register(sessions, worker.shared.lease_ms, worker.facts) if subscriptions else []
        for each, failed in zip(subscriptions, answers, strict=True):
            each.is_registered = failed is None
            found.append((each, [] if failed is None else failed))
        return found

    def _listening(self, subscription: Subscription, found: Found) -> Found:
        """Have a queue's bell listened to; return what was found there, or why that cannot be."""
        if isinstance(found, ConnectionFailed) and found.retry:
            raise found
        if not isinstance(found, HotQueueError):
            try:
                self._worker.bell.connect(subscription.index)
            except HotQueueError as error:
                if isinstance(error, ConnectionFailed) and error.retry:
                    raise
                return error
        return found

    def _came_back(self, place: Place, found: list[tuple[Subscription, Found]]) -> None:
        worker = self._worker
        for subscription in place.subscriptions:
            subscription.is_away = False
        for subscription, what in found:
            if subscription not in worker.subscriptions:
                continue
            if isinstance(what, HotQueueError):
                worker.note_refusal(subscription, what)
                continue
            worker.bell.hear(subscription.index)
            subscription.is_rung = True
            worker.recovered(subscription, what)
        self._group([subscription for subscription, _ in found])

    # --- the end -------------------------------------------------------------------------------------------------

    def leave(self, leave: Callable[[Sequence[Subscription]], bool]) -> bool:
        """Leave all places side by side; tell whether that was done at all of them.

        One that is away is waited for only if there is something to settle.
        """
        places = [place for place in self._places.values() if place.subscriptions]
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
                elif place.background.is_free or not (place in leaving or _has_unsettled(place)):
                    places.remove(place)
            if not self._worker.shared.may_wait:
                break
            self._worker.running.progress()
            if places:
                places[0].background.wait(0.02)
        return len(left) == count


def _has_unsettled(place: Place) -> bool:
    return any(
        subscription.unsettled or subscription.unstarted or not subscription.courier.is_empty
        for subscription in place.subscriptions
    )
