"""What goes from queue to queue: each task once, though a relay stops at any step, or an outbox begins anew; and bounded.

With processes that are killed and stopped: tests/crash/test_relay.py.
"""

from __future__ import annotations

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConfigError
from hotqueue.tasks.broker.relay import DAY, STEPS, forget_sources, relay
from tests.tasks.contents import Room, coro, place, sync
from tests.tasks.two_queues import post, run_all, task

pytestmark = pytest.mark.servers("server", "cluster")


def test_what_a_task_sends_is_written_with_its_end_and_brought_in_its_order(room: Room, other: Room) -> None:
    post(room, task(other, "a"), task(other, "b", due="+60000"), task(other, "c", envelope=coro()))
    assert room["tasks"] is None
    assert next(iter(room[f"posted:{other.queue.name}"])) == f"a\n \n{sync('a')}"
    assert relay(room.broker) == 3
    assert (room["outbox"], room[f"posted:{other.queue.name}"]) == (None, None)
    assert other["tasks"].keys() == {"a", "b", "c"}
    assert (other["ready"], other["ready:async"], other["scheduled"].keys()) == ({"a": place(1)}, {"c": place(3)}, {"b"})
    assert other[f"received:{room.queue.name}"] is None
    assert other["receipts"].keys() == {room.queue.name}


@pytest.mark.parametrize("step", STEPS)
def test_who_stops_at_any_step_leaves_the_rest_to_the_next(room: Room, other: Room, step: str) -> None:
    """And what had come has been run by then, long ago."""
    post(room, task(other, "a"), task(other, "b"))

    def stop(passed: str) -> None:
        if passed == step:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        relay(room.broker, stop)
    ran = run_all(other)
    relay(room.broker)
    ran += run_all(other)
    assert sorted(ran) == ["a", "b"]
    assert (room["outbox"], other[f"received:{room.queue.name}"]) == (None, None)


def test_an_outbox_that_began_anew_with_lower_numbers_is_numbered_above_them(room: Room, other: Room) -> None:
    """A failover took its last numbers back, a copy was restored, or a clock has been far ahead."""
    ahead = 8_000_000_000_000_000
    other.client.hset(f"{other.prefix}receipts", room.queue.name, f"{ahead} 1")
    other.client.zadd(f"{other.prefix}received:{room.queue.name}", {"b": ahead})
    post(room, task(other, "a"), task(other, "b"))
    assert relay(room.broker) == 1  # b had come
    assert run_all(other) == ["a"]
    assert int(other["receipts"][room.queue.name].split()[0]) > ahead
    assert room["outbox"] is None


def test_what_is_known_already_is_not_doubled(room: Room, other: Room) -> None:
    other.broker.enqueue_one("a", sync("a").encode())
    post(room, task(other, "a"), task(other, "a"))
    assert relay(room.broker) == 0
    assert run_all(other) == ["a"]
    assert room["outbox"] is None


def test_much_takes_several_trips_and_is_bounded(room: Room, other: Room) -> None:
    post(room, *(task(other, f"t{n}") for n in range(2100)))
    assert relay(room.broker, most=1) == 1000
    assert relay(room.broker) == 1100
    assert len(other["tasks"]) == 2100
    assert room["outbox"] is None


def test_large_ones_go_a_few_at_a_time(room: Room, other: Room) -> None:
    post(room, *(task(other, f"t{n}", envelope=sync("x" * 3_000_000)) for n in range(5)))
    floor, read = room.broker.posted(other.queue.name)
    assert (floor, 0 < len(read) < 5) == (0, True)
    assert relay(room.broker) == 5


def test_a_queue_that_cannot_take_its_own_holds_up_no_other(room: Room, other: Room) -> None:
    another = Room(HotQueue(f"{room.queue.name}-another", redis=room.client))
    other.client.set(f"{other.prefix}ready", "junk")
    post(room, task(other, "a"), task(another, "b"))
    with pytest.raises(ConfigError, match="ready"):
        relay(room.broker)
    assert another["tasks"].keys() == {"b"}
    other.client.delete(f"{other.prefix}ready")
    assert relay(room.broker) == 1
    assert run_all(other) == ["a"]
    another.wipe()


def test_what_somebody_else_wrote_to_an_outbox_is_dropped(room: Room, other: Room) -> None:
    post(room, task(other, "a"))
    room.client.zadd(f"{room.prefix}posted:{other.queue.name}", {"junk": 1})
    assert relay(room.broker) == 1
    assert room["outbox"] is None


def test_a_queue_that_nothing_comes_from_is_forgotten_after_a_day_unless_something_waits_there(room: Room, other: Room) -> None:
    post(room, task(other, "a"))
    relay(room.broker)
    [(seen, heard)] = other.broker.sources().values()
    assert forget_sources(other.broker, heard + DAY - 1) == 0
    post(room, task(other, "b"))
    other.client.hset(f"{other.prefix}receipts", room.queue.name, seen.decode().split()[0] + " 5")
    assert forget_sources(other.broker, heard + DAY) == 0
    assert other.broker.sources()[room.queue.name][1] > 5  # it was looked at
    relay(room.broker)
    [(_, heard)] = other.broker.sources().values()
    assert other.broker.drop_source(room.queue.name, seen) is False
    assert forget_sources(other.broker, heard + DAY) == 1
    assert (other["receipts"], other[f"received:{room.queue.name}"]) == (None, None)
