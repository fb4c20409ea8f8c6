"""What is done at many queues in one trip: what is wrong at one of them is its own answer, and holds up no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConfigError
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import Survey
from hotqueue.tasks.broker.session import Session
from tests.tasks.contents import Room, place, sync

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def rooms(make_queue: Callable[..., HotQueue], queue_name: str) -> Iterator[list[Room]]:
    made = [Room(make_queue(f"{queue_name}-{n}")) for n in range(3)]
    yield made
    for room in made:
        room.wipe()


def test_a_sweep_renews_the_leases_of_all(rooms: list[Room]) -> None:
    for room in rooms:
        room.fill({"workers": {"mine": 5}, "held:mine": {"t": f"1 s {place(1)}"}})
    surveys = many_queues.sweep([room.broker for room in rooms], 60_000, ["mine"])
    assert all(isinstance(each, Survey) and each.gone == [] for each in surveys)
    assert all(room["workers"]["mine"] > 1_000_000 for room in rooms)


def test_what_is_due_is_promoted_everywhere_but_where_a_key_is_wrong(rooms: list[Room]) -> None:
    for room in rooms:
        room.fill({"tasks": {"t": sync()}, "scheduled": {"t": 5}})
    rooms[1].client.rpush(rooms[1].prefix + "ready", "not ours")
    failed = many_queues.promote([room.broker for room in rooms])
    assert (failed[0], failed[2]) == (None, None)
    assert isinstance(failed[1], ConfigError)
    assert [room["ready"] for room in rooms] == [{"t": place(1)}, ["not ours"], {"t": place(1)}]


def test_a_queue_that_is_there_twice_has_two_answers(rooms: list[Room]) -> None:
    """A dead worker was looked for in a queue that was swept just before."""
    first, second = (room.broker for room in rooms[:2])
    assert many_queues.promote([first, second, first]) == [None] * 3


def test_a_beat_promotes_a_bounded_number_however_many_are_due(rooms: list[Room]) -> None:
    few, many = rooms[0], rooms[1]
    few.fill({"tasks": {"t": sync()}, "scheduled": {"t": 5}})
    ids = [str(n) for n in range(12_000)]
    many.fill({"tasks": dict.fromkeys(ids, sync()), "scheduled": dict.fromkeys(ids, 5)})
    brokers = [many.broker, few.broker]
    assert many_queues.promote(brokers, time.monotonic() + 60) == [None, None]
    assert (len(many["ready"]), few["ready"]) == (10_000, {"t": place(1)})
    assert many_queues.promote(brokers) == [None, None]  # its time is over: one turn each
    assert len(many["ready"]) == 11_000
    assert many.broker.promote() == -1
    assert len(many["ready"]) == 12_000


def test_a_worker_registers_holds_and_leaves_everywhere(rooms: list[Room]) -> None:
    sessions = [Session(room.broker, "w", "s") for room in rooms]
    assert many_queues.register(sessions, 60_000, {"host": "here"}) == [None] * 3
    for room in rooms:
        room.fill({"tasks": {"t": sync()}, "held:w": {"t": f"1 s {place(1)}"}})
    found = many_queues.recover(sessions, [[], ["t"], []])
    assert [[delivery.id for delivery in each] for each in found if isinstance(each, list)] == [["t"], [], ["t"]]
    assert many_queues.deregister([room.broker for room in rooms], "w") == [None] * 3
    assert [(room["ready"], room["workers"], room["held:w"]) for room in rooms] == [({"t": place(1)}, None, None)] * 3


def test_queues_in_which_tasks_wait_are_told_apart(rooms: list[Room]) -> None:
    brokers = [room.broker for room in rooms]
    rooms[0].fill({"held:w": {"u": f"1 s {place(1)}"}})
    assert many_queues.have_tasks(brokers) == [False] * 3
    for kind in ("ready", "ready:async", "suspects", "scheduled"):
        rooms[1].fill({kind: {"t": place(1)}})
        assert many_queues.have_tasks(brokers) == [False, True, False]
        rooms[1].client.delete(rooms[1].prefix + kind)
    rooms[2].fill({"needs": {"task:t"}})
    assert many_queues.have_tasks(brokers) == [False, False, True]


def test_bells_that_hold_a_token_are_told_apart(rooms: list[Room]) -> None:
    rooms[1].broker.ring("a")
    rooms[2].client.set(rooms[2].prefix + "bell:async", "junk")
    assert many_queues.have_wake_tokens([room.broker for room in rooms], "a") == [False, True, False]
    assert many_queues.have_wake_tokens([room.broker for room in rooms], "s") == [False, False, False]


@pytest.mark.servers("cluster")
def test_on_a_cluster_what_is_there_is_told_as_elsewhere(room: Room) -> None:
    assert many_queues.have_tasks([room.broker]) == [False]
    assert many_queues.have_wake_tokens([room.broker], "s") == [False]
    room.fill({"ready": {"t": place(1)}})
    room.broker.ring("s")
    assert many_queues.have_tasks([room.broker]) == [True]
    assert many_queues.have_wake_tokens([room.broker], "s") == [True]
    names = ["dead-7", "dead-8"]
    assert many_queues.are_registered([room.broker], names) == [False]
    room.fill({"workers": {"dead-7": 5}, "worker:dead-7": {"fetch": "1"}})
    assert many_queues.are_registered([room.broker], names) == [True]
    assert many_queues.are_registered([room.broker], [f"dead-{n}" for n in range(100)]) == [True]
    room.wipe()


def test_queues_at_which_one_of_some_workers_is_registered_are_told_apart(rooms: list[Room]) -> None:
    brokers = [Broker(rooms[0].queue._store, room.queue.name) for room in rooms]
    names = [f"dead-{n}" for n in range(1500)]
    assert many_queues.are_registered(brokers, names) == [False] * 3
    rooms[1].fill({"workers": {"dead-7": 5, "other": 5}, "worker:dead-7": {"fetch": "1"}})
    rooms[2].client.set(rooms[2].prefix + "workers", "not ours")
    assert many_queues.are_registered(brokers, names) == [False, True, False]
    assert many_queues.are_registered(brokers, ["dead-8"]) == [False] * 3


def test_queues_for_which_there_is_nothing_to_do_are_told_apart(rooms: list[Room]) -> None:
    brokers = [Broker(rooms[0].queue._store, room.queue.name) for room in rooms]
    assert many_queues.need_upkeep(brokers) == [False] * 3
    rooms[1].fill({"tasks": {"t": sync()}})
    rooms[2].fill({"owned:over": ["r"]})
    assert many_queues.need_upkeep(brokers) == [False, True, True]
