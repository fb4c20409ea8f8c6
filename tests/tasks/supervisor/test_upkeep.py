"""What keeps queues in order: leases, promotion, the dead on this host and elsewhere, what drags, debts."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator

import pytest

from hotqueue import keys, presence
from hotqueue.errors import ConnectionFailed
from hotqueue.presence import Presence
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.supervisor import neighbours
from hotqueue.tasks.supervisor.debts import Debts
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.worker.permits import Permits
from hotqueue.tasks.worker.running import Running
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def upkeep_of(room: Room, lease_ms: int = 60_000, **options: object) -> Upkeep:
    return Upkeep([room.broker], lease_ms, **options)  # type: ignore[arg-type]


def beat(upkeep: Upkeep) -> None:
    """Sweep now, though a second has not passed."""
    upkeep.sweep_soon()
    upkeep.beat()


@pytest.fixture(autouse=True)
def nothing_is_left_of_the_dead() -> Iterator[None]:
    """All of them are of this process, and would be taken for workers that died together."""
    yield
    for name in os.listdir(presence.folder()):
        if name.split("-")[-2:-1] == [str(os.getpid())] and presence.is_alive(presence.folder(), name) is False:
            presence.forget(presence.folder(), name)


def dead_presence(room: Room, *running: str, lease: int = LATER) -> Presence:
    """Return the presence of a process that died while it ran some of the tasks "a", "b", "c" that it held."""
    gone = Presence(Running.size(3))
    table = Running(gone.state)
    for task_id in running:
        table.start(task_id.encode())
    gone.let_go()
    room.fill({"tasks": {n: sync(n) for n in "abc"}, f"held:{gone.id}": {n: f"1 s {place(i)}" for i, n in enumerate("abc")}})
    room.fill({"workers": {gone.id: lease}, f"worker:{gone.id}": {"folder": gone.folder, "fetch": 1}})
    return gone


def test_leases_of_our_own_are_renewed_once_a_second(room: Room) -> None:
    room.fill({"workers": {"mine": 5}})
    upkeep = upkeep_of(room)
    upkeep.own = ["mine"]
    upkeep.beat()
    renewed = room["workers"]["mine"]
    assert renewed > time.time() * 1000 + 50_000
    upkeep.beat()
    assert room["workers"]["mine"] == renewed


def test_due_tasks_are_promoted(room: Room) -> None:
    room.fill({"tasks": {"t": sync()}, "scheduled": {"t": 5}})
    beat(upkeep_of(room))
    assert room["ready"] == {"t": place(1)}


def test_the_tasks_of_a_dead_neighbour_run_again_at_once_and_what_it_ran_is_charged(room: Room) -> None:
    dead_presence(room, "b")
    beat(upkeep_of(room))
    assert (room["ready"], room["suspects"]) == ({"a": place(0), "c": place(2)}, {"b": place(1)})
    head, line = room["attempts"]["b"].split("\n")
    assert head == "0 1 - - - 0 0 1"
    assert json.loads(line)["kind"] == "lost"
    assert room["workers"] is None


def test_of_several_that_ran_in_a_dead_process_each_has_shared_its_death(room: Room) -> None:
    dead_presence(room, "a", "c")
    beat(upkeep_of(room))
    assert (room["ready"], room["suspects"]) == ({n: place(i) for i, n in enumerate("abc")}, None)
    assert {task_id: value.split("\n")[0] for task_id, value in room["attempts"].items()} == dict.fromkeys(
        "ac", "0 0 - - - 1 0 0"
    )


def test_what_ran_when_a_supervisor_died_too_was_lost_with_it(room: Room) -> None:
    gone = dead_presence(room, "b")
    room.fill({f"worker:{gone.id}": {"supervisor": "h-1-dead"}})
    beat(upkeep_of(room))
    assert (room["ready"], room["suspects"]) == ({n: place(i) for i, n in enumerate("abc")}, None)
    assert room["attempts"]["b"].startswith("0 0 - - - 0 1 0\n")


def test_what_a_living_supervisor_will_bury_is_left_to_it(room: Room) -> None:
    gone, supervisor = dead_presence(room, "b", lease=int(time.time() * 1000) + 60_000), Presence()
    room.fill({f"worker:{gone.id}": {"supervisor": supervisor.id}})
    before = room.contents()
    beat(upkeep_of(room))
    assert room.contents() == before
    supervisor.close()
    beat(upkeep_of(room))
    assert room["workers"] is None


def test_what_ran_is_known_of_a_dead_neighbour_whose_file_was_long_untouched(room: Room) -> None:
    gone = dead_presence(room, "b")
    os.utime(presence.path_of(gone.folder, gone.id), (5, 5))  # as of any that worked for long, in a tmpfs
    beat(upkeep_of(room))
    assert room["suspects"] == {"b": place(1)}
    assert room["held:" + gone.id] is None
    presence.forget(gone.folder, gone.id)


def test_what_the_dead_left_is_removed_once_everybody_has_seen_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, upkeep = dead_presence(room), upkeep_of(room)
    beat(upkeep)
    assert presence.is_alive(gone.folder, gone.id) is False
    monkeypatch.setattr(neighbours, "REMEMBERED", 0.0)
    beat(upkeep)
    assert not os.path.exists(presence.path_of(gone.folder, gone.id))


def test_what_nobody_removed_is_removed_when_it_is_old(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "REMEMBERED", 0.0)
    old, new, alive = dead_presence(room), dead_presence(room), Presence(8)
    for each in (old, alive):
        os.utime(presence.path_of(each.folder, each.id), (5, 5))
    beat(upkeep_of(room))
    assert [os.path.exists(presence.path_of(each.folder, each.id)) for each in (old, new, alive)] == [False, True, True]
    alive.close()
    presence.forget(new.folder, new.id)


def test_a_neighbour_that_lives_is_left_alone_though_its_lease_ran_out(room: Room) -> None:
    alive = Presence(Running.size(1))
    Running(alive.state).start(b"a")
    room.fill({"workers": {alive.id: 5}, f"worker:{alive.id}": {"folder": alive.folder}, f"held:{alive.id}": {"a": "1 s 1"}})
    before = room.contents()
    beat(upkeep_of(room, lease_ms=0))
    assert room.contents() == before
    alive.close()


def test_a_neighbour_that_is_stopped_and_runs_nothing_keeps_nothing_once_its_lease_ran_out(room: Room) -> None:
    alive = Presence(Running.size(1))
    Running(alive.state)
    room.fill({"tasks": {"a": sync()}, "workers": {alive.id: 5}, f"worker:{alive.id}": {"folder": alive.folder}})
    room.fill({f"held:{alive.id}": {"a": f"1 s {place(1)}"}})
    beat(upkeep_of(room, lease_ms=0))
    assert (room["ready"], room["attempts"], room["workers"]) == ({"a": place(1)}, None, None)
    alive.close()


class TestOutOfSight:
    def given(self, room: Room, lease: int) -> None:
        room.fill({"tasks": {"a": sync()}, "held:far": {"a": f"1 s {place(1)}"}, "workers": {"far": lease}})
        room.fill({"worker:far": {"folder": "/nowhere/at/all"}})

    def test_its_lease_decides_and_nobody_is_charged_a_delivery_since_nobody_knows_what_ran(self, room: Room) -> None:
        self.given(room, 5)
        beat(upkeep_of(room, lease_ms=0))
        assert (room["ready"], room["suspects"], room["workers"]) == ({"a": place(1)}, None, None)
        head, line = room["attempts"]["a"].split("\n")
        assert (head, json.loads(line)["kind"]) == ("0 0 - - - 0 1 0", "host lost")

    def test_one_that_had_left_when_its_announcement_came_is_struck_off(self, room: Room) -> None:
        """A request that lay in a proxy, or in front of a stopped server, opens a lease that nobody renews."""
        Session(room.broker, "gone", "s").register(1, {"folder": "/nowhere/at/all", "kind": "s"})
        assert room["workers"]
        wait_until(lambda: beat(upkeep_of(room, lease_ms=0)) or room["workers"] is None)  # type: ignore[func-returns-value]
        assert room["worker:gone"] is None

    def test_it_keeps_what_it_holds_while_its_lease_lasts(self, room: Room) -> None:
        self.given(room, LATER)
        before = room.contents()
        beat(upkeep_of(room, lease_ms=0))
        assert room.contents() == before

    def test_leases_do_not_count_before_we_saw_the_server_well_for_as_long_as_one(self, room: Room) -> None:
        self.given(room, 5)
        before = room.contents()
        upkeep = upkeep_of(room, lease_ms=200)
        beat(upkeep)
        assert room.contents() == before
        wait_until(lambda: beat(upkeep) or room["workers"] is None)  # type: ignore[func-returns-value]


def held_out_of_sight(room: Room, lease: float) -> Upkeep:
    room.fill({"tasks": {"t": sync()}, "held:other": {"t": f"1 s {place(1)}"}, "workers": {"other": lease}})
    return upkeep_of(room, lease_ms=200)


def test_a_lease_from_before_the_clock_was_put_back_strands_nothing(room: Room) -> None:
    upkeep = held_out_of_sight(room, time.time() * 1000 + 3_600_000)
    beat(upkeep)
    assert room["workers"]["other"] < time.time() * 1000 + 1000
    wait_until(lambda: beat(upkeep) or room["ready"] == {"t": place(1)})


def test_the_longest_lease_there_is_stays_as_it_is(room: Room) -> None:
    at = int(time.time() * 1000) + 119_000
    beat(held_out_of_sight(room, at))
    assert room["workers"] == {"other": at}


def test_leases_do_not_count_just_after_the_clock_was_put_ahead(room: Room) -> None:
    upkeep = held_out_of_sight(room, 5)
    [queue] = upkeep._queues.values()
    queue._healthy_since, queue._clock = 0.0, (time.time() - time.monotonic()) * 1000 - 3_600_000  # an hour ago, a moment ago
    beat(upkeep)
    assert room["held:other"]
    wait_until(lambda: beat(upkeep) or room["ready"] == {"t": place(1)})


def test_a_running_task_to_be_stopped_is_ended_by_who_runs_it_and_the_mark_goes_when_it_has_ended(room: Room) -> None:
    room.fill({"tasks": {"r": sync(), "w": sync()}, "held:x": {"r": "1 s 1"}, "ready": {"w": 2}})
    room.fill({"workers": {"x": LATER}, "control": {"r": "stopped", "w": "stopped", "ended": "stopped"}})
    told: list[str] = []
    beat(upkeep_of(room, terminate=told.append))
    assert told == ["r"]
    assert room["control"] == {"r": "stopped"}
    assert (room["result:w"], room["ready"]) == ("stopped", None)


def test_old_counters_are_trimmed(room: Room) -> None:
    minute = int(time.time() // 60)
    room.client.hset(room.prefix + "stats", mapping={f"{minute}:new": 1, f"{minute - 2 * 24 * 60}:old": 1})
    beat(upkeep_of(room))
    assert room["stats"] == {"new": 1}


def test_what_stands_behind_a_task_that_drags_is_put_back(room: Room) -> None:
    room.fill({"tasks": {n: sync(n) for n in "abc"}, "held:w": {n: f"3 s {place(i)} {2 - i}" for i, n in enumerate("abc")}})
    state = bytearray(Running.size(1))
    permits = Permits()
    permits.add(3, 2)
    Running(state).start(b"a")
    upkeep = upkeep_of(room)
    began = time.monotonic()
    wait_until(lambda: upkeep.take_back_if_dragging("w", bytes(state), permits) or upkeep.owes)  # type: ignore[func-returns-value]
    assert time.monotonic() - began > 0.03
    assert upkeep.is_due
    upkeep.beat()
    assert (room["held:w"], room["ready"]) == ({"a": f"3 s {place(0)} 2"}, {"b": place(1), "c": place(2)})


def test_nothing_is_taken_back_while_nothing_runs(room: Room) -> None:
    permits = Permits()
    permits.add(3, 2)
    upkeep_of(room).take_back_if_dragging("w", bytes(Running.size(1)), permits)
    assert permits.drain() == {(0, 3): 2}


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


class TestDebts:
    def test_writes_are_done_in_order_when_redis_is_back(self) -> None:
        done: list[int] = []
        is_down = True

        def write(n: int) -> Callable[[], None]:
            def body() -> None:
                if is_down:
                    raise ConnectionFailed("down")
                done.append(n)

            return body

        debts = Debts()
        assert not debts.are_due
        for n in range(3):
            debts.owe(write(n))
        assert debts.are_due
        with pytest.raises(ConnectionFailed):
            debts.pay()
        assert (done, debts.are_due, debts.are_left) == ([], False, True)
        is_down = False
        wait_until(lambda: debts.are_due)
        debts.owe(write(3))
        debts.pay()
        assert (done, debts.are_left) == ([0, 1, 2, 3], False)
        debts.pay()
        assert done == [0, 1, 2, 3]

    def test_when_time_is_up_the_rest_stays_owed(self) -> None:
        debts, done = Debts(), []
        for n in range(2):
            debts.owe(lambda n=n: done.append(n))  # type: ignore[misc]
        debts.pay(until=0.0)
        assert (done, debts.are_due) == ([], True)
        debts.pay()
        assert done == [0, 1]


class TestManyQueues:
    """What upkeep knows and does of one queue it knows and does of that one alone, and of each."""

    @pytest.fixture
    def rooms(self, make_queue: Callable[..., object], queue_name: str) -> Iterator[list[Room]]:
        made = [Room(make_queue(f"{queue_name}-{n}")) for n in range(3)]  # type: ignore[arg-type]
        yield made
        for room in made:
            room.wipe()

    def test_the_counters_of_every_queue_are_trimmed(self, rooms: list[Room]) -> None:
        minute = int(time.time() // 60)
        for room in rooms:
            room.client.hset(room.prefix + "stats", mapping={f"{minute}:new": 1, f"{minute - 2 * 24 * 60}:old": 1})
        beat(Upkeep([room.broker for room in rooms], 60_000))
        assert [room["stats"] for room in rooms] == [{"new": 1}] * 3

    def test_junk_beside_an_order_to_stop_a_task_holds_up_nothing(
        self, rooms: list[Room], caplog: pytest.LogCaptureFixture
    ) -> None:
        rooms[0].fill({"tasks": {"r": sync()}, "held:x": {"r": "1 s 1"}, "workers": {"x": LATER}, "control": {"r": "stopped"}})
        rooms[0].client.set(rooms[0].prefix + "progress:r", b"\xff{junk")
        rooms[1].fill({"tasks": {"t": sync()}, "scheduled": {"t": 5}})
        told: list[str] = []
        beat(Upkeep([room.broker for room in rooms], 60_000, terminate=told.append))
        assert (told, rooms[1]["ready"]) == (["r"], {"t": place(1)})
        rooms[0].client.delete(rooms[0].prefix + "progress:r")

    def test_a_bug_in_the_upkeep_of_one_is_told_once_and_the_others_are_looked_after(
        self, rooms: list[Room], caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_queue: object, _worker: str) -> None:
            raise RuntimeError("nobody has thought of that")

        upkeep = Upkeep([room.broker for room in rooms], 60_000, give_up=broken)
        upkeep.own = ["mine"]
        for room in rooms[1:]:
            room.fill({"workers": {"mine": 5}})
        for _ in range(3):
            beat(upkeep)
        assert all(room["workers"]["mine"] > time.time() * 1000 + 50_000 for room in rooms[1:])
        assert caplog.text.count("nobody has thought of that\nTraceback") + caplog.text.count("failed: RuntimeError") == 1
        assert rooms[0].broker.name in caplog.text

    def test_a_bug_in_what_is_owed_holds_up_nothing_behind_it(self, rooms: list[Room]) -> None:
        upkeep = Upkeep([room.broker for room in rooms], 60_000)
        done: list[int] = []

        def broken() -> None:
            raise RuntimeError("nobody has thought of that")

        upkeep.owe(rooms[0].broker, broken)
        upkeep.owe(rooms[0].broker, lambda: done.append(0))
        upkeep.owe(rooms[1].broker, lambda: done.append(1))
        beat(upkeep)
        assert done == [1]
        wait_until(lambda: beat(upkeep) or done == [1, 0], 10)  # type: ignore[func-returns-value]


def test_two_servers_with_a_queue_of_one_name_are_two(start_redis: Callable[..., RedisServer]) -> None:
    servers = [start_redis(), start_redis()]
    brokers = [Broker(Store(resolve(url=server.url)), "same") for server in servers]
    upkeep = Upkeep(brokers, 1000)
    upkeep.own = ["mine"]
    for server in servers:
        server.client().zadd(keys.workers("same"), {"mine": 5})
    beat(upkeep)
    one, other = (upkeep._queues[broker] for broker in brokers)
    since = other._healthy_since
    servers[0].pause()
    beat(upkeep)
    assert (one._healthy_since, other._healthy_since) == (None, since)
    servers[0].resume()
    assert servers[1].client().zscore(keys.workers("same"), "mine") > time.time() * 1000
    for broker in brokers:
        broker.store.close()
