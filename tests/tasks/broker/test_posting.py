"""Outboxes and receipts: what comes twice, late, or long after it was struck is known; times; keys of the wrong type."""

from __future__ import annotations

import time

import pytest

from hotqueue.errors import ConfigError
from hotqueue.tasks.broker.posting import NEW, STALE
from hotqueue.tasks.broker.relay import relay
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.outgoing import packed
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.contents import Room, sync
from tests.tasks.two_queues import forget_the_ended, post, run_all, task

pytestmark = pytest.mark.servers("server", "cluster")


def test_times_count_from_the_end_of_the_task_that_sends(room: Room, other: Room) -> None:
    post(room, task(other, "a", due="+60000", expires="+90000"))
    [[_, outgoing]] = room.broker.posted(other.queue.name)[1]
    now = time.time() * 1000
    assert abs(int(outgoing.due) - now - 60_000) < 5000
    assert abs(int(outgoing.expires) - now - 90_000) < 5000


def test_who_was_stopped_after_reading_brings_nothing_a_second_time(room: Room, other: Room) -> None:
    post(room, task(other, "a"), task(other, "b"))
    _, read = room.broker.posted(other.queue.name)
    relay(room.broker)
    post(room, task(other, "c"))
    relay(room.broker)
    assert run_all(other) == ["a", "b", "c"]
    assert other.broker.receive(room.queue.name, read)[0] == [STALE, STALE]
    assert run_all(other) == []
    assert room.broker.renumber(other.queue.name, read, 5) == 0
    assert room.broker.strike(other.queue.name, read)[1] == 0


def test_a_receipt_stays_until_its_entry_was_struck(room: Room, other: Room) -> None:
    post(room, task(other, "a"))
    _, read = room.broker.posted(other.queue.name)
    assert other.broker.receive(room.queue.name, read)[0] == [NEW]
    assert run_all(other) == ["a"]
    post(room, task(other, "b"))
    _, read = room.broker.posted(other.queue.name)
    assert other.broker.receive(room.queue.name, read)[0] == [0, NEW]
    assert run_all(other) == ["b"]
    floor, left = room.broker.strike(other.queue.name, read[:1])
    assert (floor, left) == (read[0].number + 1, 1)
    other.broker.told(room.queue.name, floor)
    assert other[f"received:{room.queue.name}"].keys() == {"b"}


def test_who_read_it_under_an_older_number_takes_no_receipt_away(room: Room, other: Room) -> None:
    """The outbox was numbered anew since, and what it sent has come, but was not struck."""
    post(room, task(other, "a"))
    _, old = room.broker.posted(other.queue.name)
    room.broker.renumber(other.queue.name, old, old[0].number + 10**9)
    _, new = room.broker.posted(other.queue.name)
    assert other.broker.receive(room.queue.name, new)[0] == [NEW]
    assert run_all(other) == ["a"]
    assert other.broker.receive(room.queue.name, old)[0] == [0]
    other.broker.told(room.queue.name, new[0].number)  # up to that one
    assert relay(room.broker) == 0
    assert run_all(other) == []


def test_a_key_of_another_type_keeps_the_task_that_sends_in_hand(room: Room, other: Room) -> None:
    room.client.set(f"{room.prefix}outbox", "junk")
    with pytest.raises(ConfigError, match="outbox"):
        post(room, task(other, "a"))
    assert len(room["tasks"]) == len(room["held:w"]) == 1
    room.client.delete(f"{room.prefix}outbox")


def test_what_could_not_end_has_sent_nothing_and_is_dead_nowhere(room: Room, other: Room) -> None:
    """Settled again, it does so once; retried from the dead list meanwhile, it would be there twice."""
    for task_id in ("a", "b"):
        room.broker.enqueue_one(task_id, sync(task_id).encode())
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    assert len(session.step(2).deliveries) == 2
    ends = [Settlement("a", 1, "X", b"", 0, packed([task(other, "sent")])), Settlement("b", 1, "D", b"record", 1, "{}")]
    for third in range(3):
        room.client.set(f"{room.prefix}done:{third}", "junk")
    for end in ends:
        with pytest.raises(ConfigError, match="WRONGTYPE"):
            session.settle([end])
    assert (room["outbox"], room["dead"], set(room["held:w"])) == (None, None, {"a", "b"})
    forget_the_ended(room)
    assert session.settle(ends).gone == []
    relay(room.broker)
    assert (run_all(other), set(room["dead"])) == (["sent"], {"b"})


def test_many_at_once_take_little_more_than_a_command_each(room: Room, other: Room) -> None:
    post(room, task(other, "first"))
    room.client.config_resetstat()
    post(room, *(task(other, f"t{n}") for n in range(1000)))
    stats: dict[str, dict[str, int]] = room.client.info("commandstats")
    assert sum(int(each["calls"]) for each in stats.values()) < 1100
    assert relay(room.broker) == 1001
    assert run_all(other) == ["first", *(f"t{n}" for n in range(999))]
