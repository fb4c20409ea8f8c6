"""What is settled apart from a queue's other outcomes, and how it ends if the server refuses it again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.errors import SerializationError
from hotqueue.sizes import LARGE
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import payload, settlement
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.slow_settlements import MOST_BREAKS, SlowSettlements
from hotqueue.tasks.worker.subscription import Subscription
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.worker.test_subscription import deliver

pytestmark = pytest.mark.servers("server")


def test_a_large_outcome_that_is_gone_after_it_was_cut_off_time_and_again_had_arrived(
    subscription: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    subscription.in_hand["id"] = deliver()
    for _ in range(MOST_BREAKS):
        subscription.cut_off([Settlement("id", 1, "S", b"x" * LARGE, 1000, "")])
    subscription.settled([action for action in subscription.take_unsettled() if action.code == "L"])
    wait_until(lambda: subscription.slow_settlements.is_empty)
    assert "does not count" not in caplog.text


def held(room: Room, count: int) -> tuple[Subscription, list[AsyncResult[int]]]:
    """Return a worker's subscription that has so many tasks in hand."""
    results = list(room.queue.task(sample.square).map(range(count)))
    subscription = Subscription(room.queue._tasks, "w", "s")
    subscription.session.register(60_000, {"kind": "s"})
    subscription.took(subscription.session.step(count))
    return subscription, results


def outcome(delivery: Delivery, size: int = 10) -> Settlement:
    return settlement.succeeded(delivery, payload.dumps(b"x" * size), 0, TaskOptions(), 1, None)


def test_what_it_settles_is_no_longer_held_and_the_worker_is_told_at_the_end(room: Room) -> None:
    subscription, results = held(room, 3)
    moved = threading.Event()
    settlements = SlowSettlements(subscription, moved.set)
    settlements.add([outcome(delivery) for delivery in subscription.unstarted])
    assert moved.wait(10)
    assert (settlements.is_empty, subscription.in_hand) == (True, {})
    assert [result.ready() for result in results] == [True] * 3


def test_while_too_much_waits_nothing_more_should_be_fetched(
    start_redis: Callable[..., RedisServer], make_queue: Callable[..., HotQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotqueue.tasks.worker.slow_settlements.ROOM", 1000)
    server = start_redis()
    subscription, _ = held(Room(make_queue(url=server.url)), 1)
    [delivery] = subscription.unstarted
    settlements = SlowSettlements(subscription, lambda: None)
    server.pause()
    settlements.add([outcome(delivery, 900)])
    assert not settlements.is_full
    settlements.add([outcome(delivery, 100)])
    assert settlements.is_full
    settlements.drop()  # others have these tasks
    assert (settlements.is_full, settlements.is_empty) == (False, True)
    server.resume()


def test_what_the_server_refuses_time_and_again_ends_as_a_failure_and_costs_the_others_nothing(
    start_redis: Callable[..., RedisServer], make_queue: Callable[..., HotQueue]
) -> None:
    queue = make_queue(url=start_redis("--proto-max-bulk-len", "1mb").url)
    subscription, results = held(Room(queue), 3)
    settlements = SlowSettlements(subscription, lambda: None)
    first, large, last = subscription.unstarted
    settlements.add([outcome(first), outcome(large, 2 << 20), outcome(last)])
    wait_until(lambda: results[0].ready() and results[2].ready())
    assert not results[1].ready()
    with pytest.raises(SerializationError, match=r"square ran to its end, but its result \(2 MB\) cannot be stored"):
        results[1].get(30)
    wait_until(lambda: settlements.is_empty)
    assert subscription.in_hand == {}
