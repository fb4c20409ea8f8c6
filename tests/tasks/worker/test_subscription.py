"""What a delivery means to a worker, looked at without unpickling."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.sizes import LARGE
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.rules.history import Attempts
from hotqueue.tasks.rules.lifecycle import Ended
from hotqueue.tasks.wire import envelope, payload
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.courier import WITHOUT_WORDS
from hotqueue.tasks.worker.subscription import ASK_AGAIN, ASK_LATER, Ready, Subscription
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("the payload was unpickled",))


@pytest.fixture
def queue(room: Room) -> HotQueue:
    return room.queue


@pytest.fixture
def subscription(queue: HotQueue) -> Subscription:
    return Subscription(queue._tasks, "w", "s")


def deliver(
    task: str = "tests.tasks.sample.note", value: Any = 1, attempts: Attempts | None = None, queue: str = "q", **more: Any
) -> Delivery:
    header = envelope.task_header(task, queue, more.get("options", {}), more.get("python", ""))
    flags = envelope.BY_VALUE if "python" in more else 0
    data = envelope.Form(header, envelope.SYNC, 0, flags).encode(b"id", 1, b"", payload.dumps(((value,), {})))
    return Delivery("id", 1, "s", attempts.encode().encode() if attempts else b"", data)


def look(subscription: Subscription, delivery: Delivery) -> Ready:
    return subscription.look(delivery, "w", lambda *_: None)


def test_a_known_task_is_ready_to_run_and_was_not_unpickled(queue: HotQueue, subscription: Subscription) -> None:
    queue.task(soft_time_limit=7, ignore_result=True)(sample.note)
    ready = look(subscription, deliver(value=Bomb()))
    assert ready.outcome is None
    assert ready.call is not None
    assert (ready.call.name, ready.call.soft_time_limit, ready.call.keeps_result) == ("tests.tasks.sample.note", 7, False)


@pytest.mark.parametrize(
    "options",
    [{"unheard_of": 1}, 5, {"time_limit": "x"}, {"result_expires": None}, {"autoretry_for": ["OSError"]}, {"max_retries": -1}],
    ids=str,
)
def test_options_that_are_none_end_the_task_and_not_the_worker(queue: HotQueue, subscription: Subscription, options: Any) -> None:
    queue.task(sample.note)
    ready = look(subscription, deliver(options=options))
    assert ready.outcome is not None
    assert ready.outcome.ended is Ended.UNLOADABLE
    assert "options that this worker cannot take" in str(ready.outcome.error)


def test_options_that_came_with_the_call_lie_over_the_tasks(queue: HotQueue, subscription: Subscription) -> None:
    queue.task(soft_time_limit=7, time_limit=9)(sample.note)
    ready = look(subscription, deliver(options={"soft_time_limit": 3, "autoretry": True}))
    assert (ready.options.soft_time_limit, ready.options.time_limit, ready.options.autoretry_for) == (3, 9, (Exception,))


@pytest.mark.parametrize(
    ("attempts", "ended"),
    [
        (Attempts(deliveries=5), Ended.EXHAUSTED),
        (Attempts(deliveries=4), None),
        (Attempts(verdict="T"), Ended.OVERRAN),
        (Attempts(expires=5), Ended.EXPIRED),
        (Attempts(expires=9_999_999_999_999), None),
        (Attempts(retries=99), None),
    ],
    ids=str,
)
def test_a_history_may_say_how_it_ends_without_a_run(
    queue: HotQueue, subscription: Subscription, attempts: Attempts, ended: Ended | None
) -> None:
    queue.task(sample.note)
    ready = look(subscription, deliver(attempts=attempts))
    assert (ready.outcome.ended if ready.outcome else None) is ended
    assert (ready.call is None) is (ended is not None)


@pytest.mark.parametrize(
    ("delivery", "need"),
    [
        (deliver("no.such.task", Bomb()), "task:no.such.task"),
        (deliver("a.lambda", Bomb(), python="3.99"), "python:3.99"),
    ],
    ids=["task", "python"],
)
def test_what_cannot_run_here_says_what_it_needs(subscription: Subscription, delivery: Delivery, need: str) -> None:
    outcome = look(subscription, delivery).outcome
    assert outcome is not None
    assert (outcome.ended, outcome.need) == (Ended.UNRUNNABLE, need)


def test_a_newer_wire_version_is_for_a_newer_worker(subscription: Subscription) -> None:
    import zlib

    data = bytearray(deliver().data)
    data[0] = 2
    data[4:8] = zlib.crc32(data[8:], zlib.crc32(data[:4])).to_bytes(4, "big")
    outcome = look(subscription, Delivery("id", 1, "s", b"", bytes(data))).outcome
    assert outcome is not None
    assert (outcome.ended, outcome.need) == (Ended.UNRUNNABLE, "wire:2")


@pytest.mark.parametrize("data", [b"", b"nonsense", deliver().data[:-1]])
def test_bytes_that_are_no_envelope_are_the_tasks_failure(subscription: Subscription, data: bytes) -> None:
    outcome = look(subscription, Delivery("id", 1, "s", b"", data)).outcome
    assert outcome is not None
    assert outcome.ended is Ended.UNLOADABLE


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


def test_what_was_told_is_no_longer_in_hand_unless_it_came_again_under_another_number(subscription: Subscription) -> None:
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
