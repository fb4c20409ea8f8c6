"""Which queues globs stand for: what is there, what is said of new ones, and what is left of those that go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.queue_names import IDLE, IN_USE, NOTHING, QueueNames
from hotqueue.tasks.client.registry import registry_of
from tests.support import next_version
from tests.support.waiting import wait_until
from tests.tasks.contents import Room

MakeQueue = Callable[..., HotQueue]


def looked(names: QueueNames) -> set[str]:
    names.look_again()
    found: set[str] = set()
    while names.is_looking:
        found |= names.look()
    return found


def test_queues_with_tasks_and_those_that_had_some_are_there(make_queue: MakeQueue, queue_name: str) -> None:
    had, has, plain, other = (make_queue(f"{queue_name}-{what}") for what in ("had", "has", "plain", "other*"))
    had.submit(print).revoke()
    has.submit(print)
    plain.put(1)  # messages are for consumers
    other.submit(print)
    names = QueueNames(has._store, ["any", f"{queue_name}-[hp]*", rf"{queue_name}-other\\*?*"])
    assert looked(names) == {had.name, has.name}
    assert looked(QueueNames(has._store, [f"{queue_name}-*"])) == {had.name, has.name, other.name}


def test_a_queue_is_said_to_be_new_once_by_whatever_sends_to_it(make_queue: MakeQueue, queue_name: str) -> None:
    one, many, strange = (make_queue(f"{queue_name}-{what}") for what in ("one", "many", "ü é"))
    names = QueueNames(one._store, [f"{queue_name}-*"])
    assert (names.listen(), names.listen()) == (True, False)
    assert names.fileno() is not None
    heard: list[str] = []

    def hears(*wanted: str) -> bool:
        heard.extend(names.heard())
        return sorted(heard) == sorted(wanted)

    one.submit(print)
    wait_until(lambda: hears(one.name))
    one.submit(print)
    task = many.task(name="print")(print)
    task.map(range(3))
    wait_until(lambda: hears(one.name, many.name))
    strange.task(name="print")(print).apply_async(countdown=60)
    wait_until(lambda: hears(one.name, many.name, strange.name))
    make_queue(f"not-{queue_name}").submit(print)
    names.close()
    assert names.fileno() is None
    assert names.heard() == set()


def test_a_queue_that_has_a_schedule_and_no_task_so_far_is_there_and_is_said_to_be_new(
    make_queue: MakeQueue, queue_name: str
) -> None:
    queue = make_queue(f"{queue_name}-one")
    names = QueueNames(queue._store, [f"{queue_name}-*"])
    names.listen()
    for name in "ab":
        queue.schedule(name, "@yearly", print)
    heard: set[str] = set()
    wait_until(lambda: heard.update(names.heard()) or heard)  # type: ignore[func-returns-value]
    assert (heard, looked(names), names.heard()) == ({queue.name}, {queue.name}, set())
    assert names.left_of([registry_of(queue).broker], [True]) == [IN_USE]
    for each in queue.schedules():
        each.remove()
    names.close()


@pytest.mark.servers("server")
def test_a_queue_is_gone_when_nothing_is_left_or_let_go_of_after_it_was_idle_for_long(room: Room) -> None:
    names = QueueNames(room.queue._store, ["*"])

    def left(is_long_idle: bool) -> int:
        return names.left_of([room.broker], [is_long_idle])[0]

    assert left(False) == NOTHING
    result = room.queue.submit(print)
    assert (left(False), left(True)) == (IN_USE, IN_USE)
    result.revoke()
    assert left(False) == IDLE
    assert room["seq"] == "1"
    assert left(True) == NOTHING
    left_over = {key.decode() for key in room.client.keys(room.prefix.replace("[", "?") + "*")}
    assert left_over == {f"{room.prefix}{thing}" for thing in ("stats", "enqueued", "accounts", f"result:{result.id}")}
    assert room.ttl("stats") > 0
    names.listen()
    room.queue.submit(print)
    wait_until(lambda: names.heard() == {room.queue.name})  # as one that was never there
    assert room.ttl("stats") == -1
    room.wipe()
    room.fill({"seq": "3", "paused": "1"})
    assert left(True) == IN_USE  # somebody has paused it, and wants it to stay so
    names.close()


def test_one_that_was_taken_up_to_a_schema_keeps_the_counter_by_which_old_programs_are_refused(room: Room) -> None:
    names = QueueNames(room.queue._store, ["*"])
    room.queue.submit(print).revoke()
    next_version.upgrade(room.broker.store, room.queue.name)
    before = room["seq"]
    assert names.left_of([room.broker], [True]) == [IDLE]
    assert room["seq"] == before


@pytest.mark.parametrize("contents", [{"outbox": {"other": "0"}}, {"receipts": {"other": "1 1"}}], ids=str)
def test_one_that_others_wait_for_is_in_use(room: Room, contents: dict[str, dict[str, str]]) -> None:
    """What is for other queues has to be brought there; and it takes a day until what came from others is forgotten."""
    room.client.hset(room.prefix + next(iter(contents)), mapping=next(iter(contents.values())))
    assert QueueNames(room.queue._store, ["*"]).left_of([room.broker], [True]) == [IN_USE]
