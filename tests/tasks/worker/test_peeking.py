"""Which queues may have tasks while a worker is busy with another: as many as there are, in one trip, and not too often."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.peeking import FEW, Peeking
from hotqueue.tasks.worker.subscription import Subscription
from tests.support.servers import RedisServer

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")

MANY = FEW + 3


def quiet(queues: list[HotQueue]) -> list[Subscription]:
    """Return subscriptions to queues of one server, that are not known to have tasks."""
    share_stores([queue._tasks for queue in queues])
    found = []
    for index, queue in enumerate(queues):
        found.append(Subscription(queue._tasks, "w", "s", index=index, is_only=False))
        found[-1].may_have_tasks = False
    return found


def with_tasks(subscriptions: list[Subscription]) -> list[int]:
    return [subscription.index for subscription in subscriptions if subscription.may_have_tasks]


def test_of_many_queues_those_may_have_tasks_whose_bells_rang(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(MANY)]
    subscriptions = quiet(queues)
    for n in (2, 3, 5):
        queues[n]._tasks.broker.ring("s")
    queues[4]._tasks.broker.ring("a")  # for the others
    Peeking("s").look(subscriptions, busy=3)
    assert with_tasks(subscriptions) == [2, 5]


def test_it_takes_no_wake_token_from_who_sleeps(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(MANY)]
    queues[1]._tasks.broker.ring("s")
    for _ in range(2):
        subscriptions = quiet(queues)
        Peeking("s").look(subscriptions)
        assert with_tasks(subscriptions) == [1]


def test_it_does_not_look_too_often(make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotqueue.tasks.worker.peeking.LOOK_AROUND", 3600.0)
    queues = [make_queue(f"{queue_name}-{n}") for n in range(MANY)]
    subscriptions, peeking = quiet(queues), Peeking("s")
    peeking.look(subscriptions)
    queues[1]._tasks.broker.ring("s")
    peeking.look(subscriptions)
    assert with_tasks(subscriptions) == []


def test_few_queues_are_asked_themselves_once_that_was_a_while_ago(
    make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotqueue.tasks.worker.peeking.LOOK_AROUND", 60.0)
    subscriptions = quiet([make_queue(f"{queue_name}-{n}") for n in range(FEW)])
    for subscription in subscriptions:
        subscription.looked_at = time.monotonic() - (1 if subscription.index == 1 else 100)
    subscriptions[3].is_away = True
    Peeking("s").look(subscriptions)
    assert with_tasks(subscriptions) == [0, 2]


def test_a_server_that_is_away_is_for_the_one_to_see_who_asks_a_queue_of_it(
    make_queue: MakeQueue, queue_name: str, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    subscriptions = quiet([make_queue(f"{queue_name}-{n}", url=server.url) for n in range(MANY)])
    server.kill()
    Peeking("s").look(subscriptions)
    assert with_tasks(subscriptions) == [0], "that shows what is wrong with all"
