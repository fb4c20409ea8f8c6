"""What a worker has in hand of a queue, what of that is settled, and which parked tasks it has go back."""

from __future__ import annotations

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.subscription import Subscription
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def queue(room: Room) -> HotQueue:
    return room.queue


def deliver() -> Delivery:
    return Delivery("id", 1, "s", b"", sync().encode())


def stepped(now: int, *deliveries: Delivery) -> Stepped:
    return Stepped(now, 5, True, 0, 0, 0, 0, [], list(deliveries))


def test_a_worker_that_was_given_up_has_nothing_left(subscription: Subscription) -> None:
    subscription.took(stepped(1, deliver()))
    subscription.unsettled.append(Settlement("id", 1, "S", b"", 0, ""))
    subscription.lost()
    assert (len(subscription.unstarted), subscription.in_hand, subscription.unsettled) == (0, {}, [])
