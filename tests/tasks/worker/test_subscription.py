"""What a worker has in hand of a queue, what of that is settled, and which parked tasks it has go back."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hotqueue import HotQueue
from hotqueue.sizes import LARGE
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.wire import payload
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.courier import WITHOUT_WORDS
from hotqueue.tasks.worker.subscription import ASK_AGAIN, ASK_LATER, Subscription
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def queue(room: Room) -> HotQueue:
    return room.queue


@pytest.fixture
def subscription(queue: HotQueue) -> Subscription:
    return Subscription(queue._tasks, "w", "s")


def deliver() -> Delivery:
    return Delivery("id", 1, "s", b"", sync().encode())


def test_parked_tasks_that_this_worker_can_run_go_back_few_at_a_time(queue: HotQueue, room: Room) -> None:
    mine = ["task:known", f"python:{payload.PYTHON}", "wire:1"]
    others = ["task:unknown", "python:2.7", "wire:9", "odd"]
    room.fill({"tasks": {need: sync() for need in mine + others}, "needs": mine + others})
    for need in mine + others:
        room.fill({f"parked:{need}": {need: 1}})
    queue.task(name="known")(sample.note)
    subscription = Subscription(queue._tasks, "w", "s")
    assert (subscription.may_unpark, subscription.until_look()) == (False, math.inf)
    subscription.took(replace(stepped(1), needs=7))
    assert subscription.may_unpark
    assert subscription.unpark("s", 5) == 3
    assert room["ready"] == dict.fromkeys(mine, 1)
    assert room["needs"] == set(others)
    assert subscription.until_look() <= ASK_AGAIN, "soon: others may park them again"


def test_parked_tasks_of_others_are_looked_at_once_a_second(queue: HotQueue, room: Room) -> None:
    room.fill({"needs": ["task:unknown"], "parked:task:unknown": {"u": 1}})
    subscription = Subscription(queue._tasks, "w", "s")
    subscription.took(replace(stepped(1), needs=1))
    assert subscription.unpark("s", 5) == 0
    assert not subscription.may_unpark
    assert ASK_AGAIN < subscription.until_look() <= ASK_LATER


def stepped(now: int, *deliveries: Delivery) -> Stepped:
    return Stepped(now, 5, True, 0, 0, 0, 0, [], list(deliveries))


def test_time_is_the_servers(subscription: Subscription) -> None:
    subscription.took(stepped(1_000_000))
    assert 1_000_000 <= subscription.now() < 1_010_000


def test_what_is_settled_is_no_longer_in_hand_unless_it_came_again_under_another_number(subscription: Subscription) -> None:
    first, again = deliver(), Delivery("id", 2, "s", b"", sync().encode())
    subscription.took(stepped(1, first))
    assert (list(subscription.unstarted), subscription.in_hand) == ([first], {"id": first})
    subscription.accept([again])
    subscription.settled([Settlement("id", 1, "S", b"", 0, "")])
    assert subscription.in_hand == {"id": again}
    subscription.settled([Settlement("id", 2, "S", b"", 0, "")])
    assert subscription.in_hand == {}


def test_a_large_outcome_that_is_gone_after_it_was_cut_off_time_and_again_had_arrived(
    subscription: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    subscription.in_hand["id"] = deliver()
    for _ in range(WITHOUT_WORDS):
        subscription.cut_off([Settlement("id", 1, "S", b"x" * LARGE, 1000, "")])
    subscription.settled([action for action in subscription.take_unsettled() if action.code == "L"])
    wait_until(lambda: subscription.courier.is_empty)
    assert "does not count" not in caplog.text


def test_a_worker_that_was_given_up_has_nothing_left(subscription: Subscription) -> None:
    subscription.took(stepped(1, deliver()))
    subscription.unsettled.append(Settlement("id", 1, "S", b"", 0, ""))
    subscription.lost()
    assert (len(subscription.unstarted), subscription.in_hand, subscription.unsettled) == (0, {}, [])
