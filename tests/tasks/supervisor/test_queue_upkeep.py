"""What keeps one queue in order: the dead on this host and elsewhere, clocks, tasks to be stopped, counters."""

from __future__ import annotations

import json
import os
import time

import pytest

from hotqueue import presence
from hotqueue.presence import Presence
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.worker.running_table import Running
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, place, sync
from tests.tasks.upkeeping import LATER, beat, dead_presence, held_out_of_sight, upkeep_of

pytestmark = pytest.mark.servers("server")


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
        Session(room.broker, "gone", "s").register(1, {"folder": "/nowhere/at/all", "kind": "s"}, stay_ms=1)
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
        upkeep = upkeep_of(room, lease_ms=1000)
        beat(upkeep)
        assert room.contents() == before
        wait_until(lambda: beat(upkeep) or room["workers"] is None)  # type: ignore[func-returns-value]


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
    upkeep = held_out_of_sight(room, int(time.time() * 1000) - 1)
    [queue], [its_round] = upkeep._queues.values(), upkeep.rounds
    queue._seen_at = int(time.time() * 1000) - 20
    its_round._healthy_since = queue._healthy_since = 0.0  # an hour ago, and the clock a moment ago
    its_round._clock = (time.time() - time.monotonic()) * 1000 - 3_600_000
    beat(upkeep)
    assert room["held:other"]
    wait_until(lambda: beat(upkeep) or room["ready"] == {"t": place(1)})


def test_a_running_task_to_be_stopped_is_ended_by_who_runs_it_and_the_mark_goes_when_it_has_ended(room: Room) -> None:
    room.fill({"tasks": {"r": sync(), "w": sync()}, "held:x": {"r": "1 s 1"}, "ready": {"w": 2}})
    room.fill({"workers": {"x": LATER}, "control": {"r": "stopped", "w": "stopped", "ended": "stopped"}})
    terminated: list[str] = []
    beat(upkeep_of(room, terminate=terminated.append))
    assert terminated == ["r"]
    assert room["control"] == {"r": "stopped"}
    assert (room["result:w"], room["ready"]) == ("stopped", None)


def test_what_an_owner_has_left_is_let_go_of(room: Room) -> None:
    """It owned more than the script that ended it lets go of."""
    ids = [f"in{n}" for n in range(1500)]
    room.fill({"tasks": {"owner": sync()}, "ready": {"owner": place(1)}})
    for part in (0, 1):
        room.broker.own("owner", ids[1000 * part :][:1000], part=part, must_exist=False)
    room.broker.revoke("owner", b"revoked", 60_000)
    assert len(room["owned:over"]) == 2
    beat(upkeep_of(room))
    assert (room["owned"], room["owned:over"]) == (None, None)
