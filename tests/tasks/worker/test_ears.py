"""Which queues ring while a worker is busy with another one; the rings stay for who sleeps there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.ears import FEW, Ears
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.tasks import sample

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]


def quiet(queues: list[HotQueue]) -> list[Subscription]:
    """Return the subscriptions of a worker that has just looked at all of these."""
    registries = [queue._tasks for queue in queues]
    share_stores(registries)
    worker = Process(registries).workers[0]
    assert isinstance(worker, SyncWorker)
    for subscription in worker.subscriptions:
        subscription.is_rung = False
    return worker.subscriptions


def test_of_many_queues_those_ring_to_which_something_was_sent_and_the_ring_stays(make_queue: MakeQueue) -> None:
    queues = [make_queue(f"ears-{n}") for n in range(FEW + 2)]
    subscriptions = quiet(queues)
    for number in (0, 2):
        queues[number].task(sample.note).delay(number)
    Ears("s").listen(subscriptions, busy=0)
    assert [subscription.is_rung for subscription in subscriptions] == [False, False, True, *[False] * (FEW - 1)]
    key = queues[2]._tasks.broker.bell_key("s")
    assert queues[2].store.command(key, "LLEN", key) == 1


def test_few_are_asked_themselves_once_it_is_a_while_ago(make_queue: MakeQueue) -> None:
    subscriptions = quiet([make_queue("one"), make_queue("two"), make_queue("away")])
    subscriptions[2].is_away = True
    Ears("s").listen(subscriptions, busy=0)
    assert [subscription.is_rung for subscription in subscriptions] == [False, True, False]
