"""Rounds over the queues of one server: what is wrong at one of them holds up no other; an outage is waited out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.upkeep import Upkeep
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, place, sync
from tests.tasks.upkeeping import LATER, beat

pytestmark = pytest.mark.servers("server")


def test_an_outage_is_told_once_and_waited_out(
    room: Room, start_redis: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    store = Store(resolve(url=server.url))  # type: ignore[attr-defined]
    upkeep = Upkeep([Broker(store, "q")], 1000)
    beat(upkeep)
    assert (upkeep.seconds_since_success() or 9) < 5
    server.kill()  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING, "hotqueue.worker"):
        for _ in range(3):
            beat(upkeep)
    assert len([r for r in caplog.records if "trying again until it answers" in r.getMessage()]) == 1
    server.start()  # type: ignore[attr-defined]
    caplog.clear()
    wait_until(lambda: beat(upkeep) or not upkeep.rounds[0]._is_away)  # type: ignore[func-returns-value]
    store.close()


def test_the_counters_of_every_queue_are_trimmed(rooms: list[Room]) -> None:
    minute = int(time.time() // 60)
    for room in rooms:
        room.client.hset(room.prefix + "stats", mapping={f"{minute}:new": 1, f"{minute - 2 * 24 * 60}:old": 1})
    upkeep = Upkeep([room.broker for room in rooms], 60_000)
    for queue in upkeep._queues.values():
        queue.mending._trim_at = 0.0
    beat(upkeep)
    assert [room["stats"] for room in rooms] == [{"new": 1}] * 3


def test_junk_beside_an_order_to_stop_a_task_holds_up_nothing(rooms: list[Room], caplog: pytest.LogCaptureFixture) -> None:
    rooms[0].fill({"tasks": {"r": sync()}, "held:x": {"r": "1 s 1"}, "workers": {"x": LATER}, "control": {"r": "stopped"}})
    rooms[0].client.set(rooms[0].prefix + "progress:r", b"\xff{junk")
    rooms[1].fill({"tasks": {"t": sync()}, "scheduled": {"t": 5}})
    terminated: list[str] = []
    beat(Upkeep([room.broker for room in rooms], 60_000, terminate=terminated.append))
    assert (terminated, rooms[1]["ready"]) == (["r"], {"t": place(1)})
    rooms[0].client.delete(rooms[0].prefix + "progress:r")


def test_a_bug_in_the_upkeep_of_one_is_told_once_and_the_others_are_looked_after(
    rooms: list[Room], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_queue: object, _worker: str, _asked: float) -> None:
        raise RuntimeError("nobody has thought of that")

    upkeep = Upkeep([room.broker for room in rooms], 60_000, give_up=broken)
    upkeep.own = ["mine"]
    for room in rooms[1:]:
        room.fill({"workers": {"mine": 5}, "tasks": {"t": sync()}, "held:mine": {"t": f"1 s {place(1)}"}})
    upkeep.note_holds(room.broker for room in rooms)
    for _ in range(3):
        beat(upkeep)
    assert all(room["workers"]["mine"] > time.time() * 1000 + 50_000 for room in rooms[1:])
    assert caplog.text.count("nobody has thought of that\nTraceback") + caplog.text.count("failed: RuntimeError") == 1
    assert rooms[0].broker.name in caplog.text


def test_a_bug_in_a_pending_write_holds_up_nothing_behind_it(rooms: list[Room]) -> None:
    upkeep = Upkeep([room.broker for room in rooms], 60_000)
    done: list[int] = []

    def broken() -> None:
        raise RuntimeError("nobody has thought of that")

    upkeep.write_later(rooms[0].broker, broken)
    upkeep.write_later(rooms[0].broker, lambda: done.append(0))
    upkeep.write_later(rooms[1].broker, lambda: done.append(1))
    beat(upkeep)
    assert done == [1]
    wait_until(lambda: beat(upkeep) or done == [1, 0])  # type: ignore[func-returns-value]


def test_a_lease_is_renewed_until_a_sweep_finds_that_nothing_is_held(room: Room) -> None:
    room.fill({"tasks": {"t": sync()}, "held:mine": {"t": f"1 s {place(1)}"}, "workers": {"mine": -5}})
    upkeep = Upkeep([room.broker], 60_000)
    [queue], [its_round] = upkeep._queues.values(), upkeep.rounds
    upkeep.note_holds([room.broker])
    its_round._swept([queue], ())  # as of one whose turn it is all the same: it tells nothing of what we hold
    assert (queue.holds, room["workers"]) == (True, {"mine": -5})
    its_round._swept([queue], ["mine"], renews=True)
    assert queue.holds
    assert room["workers"]["mine"] > time.time() * 1000 + 50_000
    room.client.delete(room.prefix + "held:mine")
    its_round._swept([queue], ["mine"], renews=True)
    assert not queue.holds
    assert room["workers"]["mine"] < -time.time() * 1000 - 200_000


def test_where_a_lease_could_not_be_renewed_that_is_tried_again(room: Room) -> None:
    room.client.set(room.prefix + "workers", "not ours")
    upkeep = Upkeep([room.broker], 60_000)
    [queue], [its_round] = upkeep._queues.values(), upkeep.rounds
    upkeep.note_holds([room.broker])
    its_round._swept([queue], ["mine"], renews=True)
    assert queue.holds


def test_a_worker_of_our_own_whose_lease_ran_out_is_renewed_and_not_reaped(room: Room) -> None:
    room.fill({"tasks": {"t": sync()}, "held:mine": {"t": f"1 s {place(1)}"}, "workers": {"mine": 5}})
    upkeep = Upkeep([room.broker], 0)
    upkeep.own = ["mine"]
    beat(upkeep)
    assert room["held:mine"]
    beat(upkeep)
    assert room["workers"]["mine"] > time.time() * 1000 - 5000


def test_of_those_that_hold_nothing_a_few_are_registered_anew_at_a_time(rooms: list[Room]) -> None:
    for room in rooms:
        room.fill({"workers": {"mine": -LATER}})
    upkeep = Upkeep([Broker(rooms[0].queue._store, room.queue.name) for room in rooms], 60_000)
    upkeep.own = ["mine"]
    beat(upkeep)
    assert [room["workers"]["mine"] for room in rooms] == [-LATER] * 3, "they have registered just now"
    for queue in upkeep._queues.values():
        queue.renew_at = 0.0
    beat(upkeep)
    assert [room["workers"]["mine"] == -LATER for room in rooms] == [False, False, True]
    beat(upkeep)
    assert all(-LATER < room["workers"]["mine"] < -time.time() * 1000 - 200_000 for room in rooms)


def test_when_the_clock_was_put_ahead_all_are_registered_anew_before_others_count_them_out(rooms: list[Room]) -> None:
    for room in rooms:
        room.fill({"workers": {"mine": -LATER}})
    upkeep = Upkeep([Broker(rooms[0].queue._store, room.queue.name) for room in rooms], 60_000)
    upkeep.own = ["mine"]
    beat(upkeep)
    beat(upkeep)
    assert [room["workers"]["mine"] for room in rooms] == [-LATER] * 3
    [its_round] = upkeep.rounds
    its_round._clock -= 3_600_000
    for _ in range(3):
        beat(upkeep)
    assert all(-LATER < room["workers"]["mine"] < -time.time() * 1000 - 200_000 for room in rooms)
