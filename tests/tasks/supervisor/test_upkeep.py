"""Upkeep of queues: leases, promotion, what drags, servers side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotqueue import keys
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.upkeep import STOOD_STILL, Upkeep
from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.running_table import Running
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room, place, sync
from tests.tasks.schedules import fired, put, rare
from tests.tasks.upkeeping import beat, upkeep_of

pytestmark = pytest.mark.servers("server")


def test_leases_of_our_own_are_renewed_once_a_second(room: Room) -> None:
    room.fill({"workers": {"mine": 5}, "tasks": {"t": sync()}, "held:mine": {"t": f"1 s {place(1)}"}})
    upkeep = upkeep_of(room)
    upkeep.own = ["mine"]
    upkeep.note_holds([room.broker])
    upkeep.beat()
    renewed = room["workers"]["mine"]
    assert renewed > time.time() * 1000 + 50_000
    upkeep.beat()
    assert room["workers"]["mine"] == renewed


def test_leases_are_renewed_between_portions_of_what_very_much_takes(room: Room) -> None:
    """25,000 are due, one of which has lost its place: what a beat does about them is bounded, and begins with the leases."""
    ids = [f"t{n}" for n in range(25_000)]
    for start in range(0, 25_000, 5000):
        some = ids[start : start + 5000]
        room.fill({"tasks": dict.fromkeys(some, sync()), "scheduled": dict.fromkeys(some, 5)})
    room.client.zrem(room.prefix + "scheduled", "t7")
    upkeep = upkeep_of(room)
    upkeep.own = ["mine"]
    for ready in (10_000, 20_000, 24_999):
        room.fill({"workers": {"mine": 5}, "held:mine": {"held": "1 s 5"}})
        upkeep.note_holds([room.broker])
        beat(upkeep)
        assert room["workers"]["mine"] > 10**12
        assert room.client.zcard(room.prefix + "ready") == ready
    assert room["scheduled"] is None


def test_due_tasks_are_promoted(room: Room) -> None:
    room.fill({"tasks": {"t": sync()}, "scheduled": {"t": 5}})
    beat(upkeep_of(room))
    assert room["ready"] == {"t": place(1)}


def test_what_stands_behind_a_task_that_drags_is_put_back(room: Room) -> None:
    room.fill({"tasks": {n: sync(n) for n in "abc"}, "held:w": {n: f"3 s {place(i)} {2 - i}" for i, n in enumerate("abc")}})
    state = bytearray(Running.size(1))
    permits = PermitsHere()
    permits.add(3, 2)
    Running(state).start(b"a")
    upkeep = upkeep_of(room)
    began = time.monotonic()
    wait_until(lambda: upkeep.take_back_if_dragging("w", bytes(state), permits) or upkeep.writes_pending)  # type: ignore[func-returns-value]
    assert time.monotonic() - began > 0.03
    assert upkeep.is_due
    upkeep.beat()
    assert (room["held:w"], room["ready"]) == ({"a": f"3 s {place(0)} 2"}, {"b": place(1), "c": place(2)})


def test_nothing_is_taken_back_while_nothing_runs(room: Room) -> None:
    permits = PermitsHere()
    permits.add(3, 2)
    upkeep_of(room).take_back_if_dragging("w", bytes(Running.size(1)), permits)
    assert permits.drain() == {(0, 3): 2}


def test_two_servers_with_a_queue_of_one_name_are_two(start_redis: Callable[..., RedisServer]) -> None:
    servers = [start_redis(), start_redis()]
    brokers = [Broker(Store(resolve(url=server.url)), "same") for server in servers]
    upkeep = Upkeep(brokers, 1000)
    upkeep.own = ["mine"]
    upkeep.note_holds(brokers)
    for server in servers:
        server.client().zadd(keys.workers("same"), {"mine": 5})
        server.client().hset(keys.held("same", "mine"), "junk", "holds")
    beat(upkeep)
    one, other = (upkeep._queues[broker] for broker in brokers)
    since = other._healthy_since
    servers[0].pause()
    beat(upkeep)
    assert (one._healthy_since, other._healthy_since) == (None, since)
    assert [each._healthy_since is None for each in upkeep.rounds] == [True, False]
    servers[0].resume()
    assert servers[1].client().zscore(keys.workers("same"), "mine") > time.time() * 1000
    for broker in brokers:
        broker.store.close()


def test_schedules_are_fired_beside_a_beat_though_none_is_to_begin(room: Room) -> None:
    """A process is to be started, which waits until the beat has ended: for seconds, where very much is due."""
    room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
    upkeep = upkeep_of(room)
    upkeep.beat()
    put(room, "s")
    schedules = upkeep._queues[room.broker].schedules
    schedules.lived_since, schedules.due_at = 0, 0.0
    upkeep.begin_beside_beats()
    assert upkeep.is_free
    ends = threading.Event()
    upkeep.rounds[0].background.begin(ends.wait)
    upkeep.begin_beside_beats()
    wait_until(lambda: fired(room))
    ends.set()
    wait_until(lambda: upkeep.conclude() or upkeep.is_free)  # type: ignore[func-returns-value]


def test_who_only_waits_to_begin_a_beat_is_not_taken_for_stopped(room: Room) -> None:
    room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
    upkeep = upkeep_of(room)
    upkeep.beat()
    schedules = upkeep._queues[room.broker].schedules
    lived_since = schedules.lived_since
    upkeep._seen_at -= STOOD_STILL - 1
    upkeep.begin_beside_beats()
    upkeep._seen_at -= STOOD_STILL - 1
    upkeep.begin_beside_beats()
    assert schedules.lived_since == lived_since is not None
    upkeep._seen_at -= STOOD_STILL + 1
    upkeep.begin_beside_beats()
    assert schedules.lived_since is None
