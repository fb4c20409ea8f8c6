"""What a delivery means to a worker, looked at without unpickling."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.rules.lifecycle import Ended
from hotqueue.tasks.wire import envelope, payload
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker.prepare import Ready
from hotqueue.tasks.worker.subscription import Subscription
from tests.tasks import sample
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("the payload was unpickled",))


@pytest.fixture
def queue(room: Room) -> HotQueue:
    return room.queue


def deliver(
    task: str = "tests.tasks.sample.note", value: Any = 1, history: History | None = None, queue: str = "q", **more: Any
) -> Delivery:
    header = envelope.task_header(task, queue, more.get("options", {}), more.get("python", ""))
    flags = envelope.BY_VALUE if "python" in more else 0
    data = envelope.Form(header, envelope.SYNC, 0, flags).encode(b"id", 1, b"", payload.dumps(((value,), {})))
    return Delivery("id", 1, "s", history.encode().encode() if history else b"", data)


def look(subscription: Subscription, delivery: Delivery) -> Ready:
    return subscription.prepare(delivery, "w", None)


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
    ("history", "ended"),
    [
        (History(deliveries=5), Ended.EXHAUSTED),
        (History(deliveries=4), None),
        (History(verdict="T"), Ended.OVERRAN),
        (History(expires=5), Ended.EXPIRED),
        (History(expires=9_999_999_999_999), None),
        (History(retries=99), None),
    ],
    ids=str,
)
def test_a_history_may_say_how_it_ends_without_a_run(
    queue: HotQueue, subscription: Subscription, history: History, ended: Ended | None
) -> None:
    queue.task(sample.note)
    ready = look(subscription, deliver(history=history))
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
