"""Places: a worker's queues at several servers, where waiting for one keeps it from no other.

A reply is waited for a moment, then it is left under way and the others have their turn. What takes more than one trip
(registering, recovering, promoting) is done by a thread for each place, which ends with it; of a place that does not answer it
tries again until it does, and until then nothing else is sent there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.store.timeouts import COMMAND_TIMEOUT
from hotqueue.tasks.broker.session import DOING, Stepped
from hotqueue.tasks.worker.leaving_places import leave_all
from hotqueue.tasks.worker.one_server import FoundOut, Place, Where
from hotqueue.tasks.worker.stepping import Stepping
from hotqueue.tasks.worker.subscription import Subscription

MOMENT = 0.005  # seconds that the worker waits for a reply before the others have their turn
HASTY = 0.25  # seconds that it waits for what cannot be left under way: a connection that has to be made


class Places:
    """The places of one worker."""

    def __init__(self, worker: Stepping) -> None:
        self._worker = worker
        self._places: dict[Where, Place] = {}

    def begin(self) -> None:
        """Register the worker everywhere, beside it."""
        self._group(self._worker.subscriptions)
        for store in {
            id(subscription.registry.store): subscription.registry.store for subscription in self._worker.subscriptions
        }.values():
            place = self._places[id(store), ""] if not store.is_cluster else Place((id(store), ""), self._worker)
            if not store.is_cluster:
                self._bring_back(place)
                continue
            self._places[id(store), ""] = place  # until it is known which nodes there are
            place.subscriptions = [
                subscription for subscription in self._worker.subscriptions if subscription.registry.store is store
            ]
            for subscription in place.subscriptions:
                subscription.place, subscription.is_away = place, True
            place.background.begin(partial(place.reach, store), self._know_nodes)

    def _group(self, subscriptions: Sequence[Subscription]) -> None:
        self._worker.idle.regroup([subscription.index for subscription in subscriptions])
        for subscription in subscriptions:
            store = subscription.registry.store
            where = (id(store), store.place_of(keys.tasks(subscription.name)))
            place = self._places.setdefault(where, Place(where, self._worker))
            if subscription.place is not place:
                if subscription.place is not None:
                    subscription.place.subscriptions.remove(subscription)
                    if subscription.place.asked is subscription:
                        subscription.place.asked = None
                place.subscriptions.append(subscription)
                subscription.place = place
                if subscription.is_away and subscription.is_registered:  # what is found out where it was, is of no use
                    subscription.is_away, subscription.must_recover = False, True

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
            self._deregister(place)
        self._learn_layouts()
        broken = self._worker.idle.broken
        lost = [self._worker.subscriptions[queue] for queue in broken if not self._worker.subscriptions[queue].is_away]
        for subscription in lost:
            why = broken.pop(subscription.index)
            if isinstance(why, ConnectionFailed):
                subscription.place.say_away(why)
            self._doubt(subscription)
        for place in {subscription.place for subscription in lost}:  # all of a place together: they went silent together
            if place.background.is_free:
                self._bring_back(place)

    def _learn_layouts(self) -> None:
        """Have it found out, beside the worker, which node has which queue, where slots have moved, or a replica took over."""
        for cluster in self._worker.idle.with_new_layout():
            place = self._places[id(cluster), ""]  # at which there is nothing else to do
            if place.background.is_free:
                place.background.begin(partial(place.learn_layout, cluster), self._know_nodes)

    def until_answer(self, subscription: Subscription) -> float | None:
        """Return how long at most to wait for the step that is under way where a queue is; None where there is none.

        Until then there is nothing to ask this queue: what has answered can be read, and ends the sleep.
        """
        place: Place | None = subscription.place
        if place is None or place.asked is None or place.asked.ahead is None:
            return None
        return max(0.0, place.heard + COMMAND_TIMEOUT - time.monotonic())

    def under_way(self) -> list[int]:
        """Return the descriptors of the steps that are under way."""
        return [place.asked.ahead.fileno() for place in self._places.values() if place.asked is not None and place.asked.ahead]

    def step(self, subscription: Subscription, room: int) -> Stepped | None:
        """Send a step, or look whether the one under way has been answered; None while it has not."""
        worker, place = self._worker, subscription.place
        if place is None or not place.background.is_free or subscription.is_unavailable:
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
        if not place.has_answered(subscription.ahead, moment):
            place.is_prompt = False
            if time.monotonic() - place.heard > COMMAND_TIMEOUT:
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
                subscription.due = due
                subscription.note_ring()

        self._beside(subscription, subscription.registry.broker.promote, then)

    def unpark(self, subscription: Subscription, room: int) -> None:
        """Have parked tasks go back that the worker can run."""

        def then(moved: int | None) -> None:
            if moved is None:
                self.recover(subscription)
            elif moved:
                subscription.note_ring()
                self._worker.shared.wake_others(self._worker)

        self._beside(subscription, lambda: subscription.unpark(self._worker.kind, room), then)

    def adopt(self, subscriptions: Sequence[Subscription]) -> None:
        """Register the worker, beside it, at queues that were found while it works."""
        self._group(subscriptions)
        for subscription in subscriptions:
            subscription.must_recover = True  # where the thread of its place is busy, `step` begins another when that has ended
        for place in {id(each.place): each.place for each in subscriptions}.values():
            if place.background.is_free:
                self._bring_back(place)

    def let_go(self, subscription: Subscription, deregister: Callable[[], None]) -> None:
        """Have the worker struck off a queue that it leaves, as soon as the thread of its place is free."""
        place = subscription.place
        if place is not None:
            place.subscriptions.remove(subscription)
            place.deregistrations.append(deregister)
            self._deregister(place)

    def _deregister(self, place: Place) -> None:
        """Have the worker struck off the queues that it has left, once no thread is there that might register it again."""
        if place.deregistrations and place.background.is_free:
            place.background.begin(place.deregistrations.pop())

    def look_at(self, subscriptions: Iterable[Subscription]) -> None:
        """Have it seen in which of some queues tasks wait, though no bell rang."""
        by_place: dict[Place, list[Subscription]] = {}
        for subscription in subscriptions:
            if subscription.place is not None and subscription.is_registered:
                by_place.setdefault(subscription.place, []).append(subscription)
        for place, some in by_place.items():
            if place.background.is_free:
                place.background.begin(partial(self._worker.to_be_asked, some), self._note_tasks)

    def _note_tasks(self, numbers: set[int]) -> None:
        for number in numbers:
            self._worker.subscriptions[number].may_have_tasks = True

    def _beside(self, subscription: Subscription, ask: Callable[[], int], then: Callable[[int | None], None]) -> None:
        place = subscription.place
        if place is None or not place.background.is_free:
            return

        def asked() -> int | None:
            try:
                return ask()
            except ConnectionFailed as error:
                place.say_away(error)
                return None
            except HotQueueError as error:
                self._worker.note_refusal(subscription, error)
                return -1

        place.background.begin(asked, then)

    def note_outage(self, subscription: Subscription, error: Exception) -> None:
        """Tell once a process that a place does not answer."""
        if subscription.place is not None:
            subscription.place.say_away(error)

    def _bring_back(self, place: Place) -> None:
        wanted = [each for each in place.subscriptions if not each.is_registered or each.may_be_wrong]
        for subscription in place.subscriptions:
            subscription.is_away = True
        place.background.begin(partial(place.find, wanted), lambda found: self._came_back(place, found))

    def _came_back(self, place: Place, found: list[FoundOut]) -> None:
        worker = self._worker
        for subscription in place.subscriptions:
            subscription.is_away = False
        for subscription, held, has_tasks in found:
            if subscription.has_left or subscription not in worker.subscriptions:
                continue
            if isinstance(held, HotQueueError):
                worker.note_refusal(subscription, held)
                continue
            worker.idle.reconnected(subscription.index)
            subscription.may_have_tasks = has_tasks
            worker.recovered(subscription, held)
        self._group([each.subscription for each in found])

    def leave(self, leave: Callable[[Sequence[Subscription]], bool]) -> bool:
        """Leave all places side by side; tell whether that was done at all of them."""
        return leave_all([place for place in self._places.values() if place.subscriptions], self._worker, leave)
