"""What a worker has in hand of a queue, what of that is settled, and which parked tasks it has go back."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.wire import payload
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.subscription import ASK_AGAIN, ASK_LATER, Subscription
from tests.tasks import sample
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def queue(room: Room) -> HotQueue:
    return room.queue


def deliver() -> Delivery:
    return Delivery("id", 1, "s", b"", sync().encode())


def stepped(now: int, *deliveries: Delivery) -> Stepped:
    return Stepped(now, 5, True, 0, 0, 0, 0, [], list(deliveries))


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


def test_a_worker_that_was_given_up_has_nothing_left(subscription: Subscription) -> None:
    subscription.took(stepped(1, deliver()))
    subscription.unsettled.append(Settlement("id", 1, "S", b"", 0, ""))
    subscription.lost()
    assert (len(subscription.unstarted), subscription.in_hand, subscription.unsettled) == (0, {}, [])
