"""What maintenance's operations make of given contents: every key, before and after."""

from __future__ import annotations

import time

import pytest

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker import maintenance
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.broker.posting import Posted
from hotqueue.tasks.rules.history import LOST, is_over
from hotqueue.tasks.wire.outgoing import Outgoing
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, coro, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def now() -> int:
    return int(time.time() * 1000)


class TestSweep:
    def test_own_leases_are_renewed_and_the_rest_is_surveyed(self, room: Room) -> None:
        far = now() + 90_000
        room.fill(
            {
                "workers": {"mine": 5, "idle": 5, "other": far, "late": 8, "left": -9, "registered": -far, "dead": -far},
                "held:mine": {"t": f"1 s {place(1)}"},
                "scheduled": {"t": far},
                "control": {"r": "blob"},
                "suspects": {"x": 1, "y": 2},
            }
        )
        survey = room.broker.sweep(60_000, ["mine", "idle", "given-up"], ["dead", "unknown"], 240_000)
        at = survey.now
        assert abs(at - now()) < 5000
        assert 80_000 < survey.due <= 90_000
        assert sorted(survey.others) == [("dead", far - at), ("late", 8 - at), ("left", 9 - at)]
        assert survey.gone == ["given-up"]
        assert survey.stops == {"r": b"blob"}
        assert survey.suspects == 2
        assert survey.holding == 1
        kept = {"other": far, "late": 8, "left": -9, "registered": -far, "dead": -far}
        assert room["workers"] == {**kept, "mine": at + 60_000, "idle": -at - 240_000}

    def test_of_very_many_to_be_stopped_some_are_told_and_in_time_all(self, room: Room) -> None:
        room.fill({"control": {f"t{n}": "blob" for n in range(300)}})
        told: set[str] = set()

        def sweep() -> bool:
            stops = room.broker.sweep(1000, []).stops
            assert len(stops) == 100
            told.update(stops)
            return len(told) == 300

        wait_until(sweep, what="each was told once")

    def test_due_is_nought_when_late_and_minus_one_when_there_is_none(self, room: Room) -> None:
        assert room.broker.sweep(1000, []).due == -1
        assert room.fill({"scheduled": {"t": 5}}).broker.sweep(1000, []).due == 0


class TestPromote:
    def test_due_tasks_take_places_in_the_order_of_their_time(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync("A"), "b": sync("B", 5), "c": coro("C"), "later": sync()}, "seq": "41"})
        room.fill({"scheduled": {"b": 10, "a": 20, "c": 30, "taskless": 40, "later": LATER}})
        assert room.broker.promote() > 10**9
        assert room.contents() == {
            "tasks": {"a": sync("A"), "b": sync("B", 5), "c": coro("C"), "later": sync()},
            "scheduled": {"later": LATER},
            "ready": {"b": place(42, 5), "a": place(43)},
            "ready:async": {"c": place(44)},
            "seq": "44",
            "bell": ["1"] * 2,
            "bell:async": ["1"],
        }

    def test_a_thousand_are_promoted_at_once_and_the_rest_when_asked_again(self, room: Room) -> None:
        many = [f"t{n}" for n in range(2500)]
        room.fill({"tasks": dict.fromkeys(many, sync()), "scheduled": dict.fromkeys(many, 5)})
        assert room.broker.promote() == 0
        assert (len(room["ready"]), len(room["scheduled"])) == (1000, 1500)
        assert [room.broker.promote(), room.broker.promote()] == [0, -1]
        assert (len(room["ready"]), room["scheduled"]) == (2500, None)

    def test_without_a_place_for_them_they_stay_where_they_are(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "scheduled": {"a": 5}, "seq": "junk"})
        with pytest.raises(HotQueueError):
            room.broker.promote()
        assert room["scheduled"] == {"a": 5}


def test_a_full_server_keeps_nothing_from_where_workers_fetch_it(room: Room) -> None:
    """What is due, dead, or stood nowhere; it grows by little, and is how the server is drained."""
    room.fill({"tasks": {n: sync(n) for n in "ab"}, "scheduled": {"a": 5}, "seq": "1"})
    room.fill({"dead": {"d": 7}, "dead:tasks": {"d": "{}\n" + sync("D")}})
    room.client.zadd(room.prefix + "posted:q", {"e\n \n": 5})
    room.client.config_set("maxmemory", 1)
    try:
        assert room.broker.promote() == -1
        assert room.broker.revive(["d"]) == ["d"]
        assert Audit(room.broker).portion() == 1
        assert room.broker.renumber("q", [Posted(5, Outgoing("q", "e", "", "", b""))], 9) == 1
    finally:
        room.client.config_set("maxmemory", 0)
    assert set(room["ready"]) == {"a", "b", "d"}


class TestReap:
    def given(self, room: Room, lease: int = 5) -> None:
        room.fill({"tasks": {n: sync(n) for n in "abc"}, "attempts": {"a": "1 2 - 9 -\n{}"}})
        room.fill({"held:w": {"a": f"1 s {place(1)}", "b": f"1 a {place(2)}", "c": f"1 x {place(3)}"}})
        room.fill({"workers": {"w": lease, "o": 7}, "worker:w": {"folder": "/f"}})

    def test_the_unstarted_have_their_places_again_uncharged(self, room: Room) -> None:
        self.given(room)
        assert room.broker.reap("w", known_dead=True) == []
        assert room.contents() == {
            "tasks": {n: sync(n) for n in "abc"},
            "attempts": {"a": "1 2 - 9 -\n{}"},
            "ready": {"a": place(1)},
            "ready:async": {"b": place(2)},
            "suspects": {"c": place(3)},
            "workers": {"o": 7},
            "bell": ["1"] * 4,
            "bell:async": ["1"] * 4,
        }

    def test_a_full_server_takes_back_what_the_dead_and_the_slow_held(self, room: Room) -> None:
        """Else it would stay full: nobody else may run it."""
        self.given(room)
        room.fill({"held:v": {"d": f"4 s {place(4)} 0"}, "tasks": {"d": sync()}})
        room.client.config_set("maxmemory", 1)
        try:
            assert room.broker.reap("w", known_dead=True, charge=Charge("{}", ["a"])) == ["a"]
            assert room.broker.take_back("v", 4, 1) == 1
        finally:
            room.client.config_set("maxmemory", 0)
        assert (set(room["ready"]), set(room["suspects"])) == ({"d"}, {"a", "c"})

    def test_what_ran_alone_is_charged_and_a_suspect(self, room: Room) -> None:
        self.given(room)
        assert room.broker.reap("w", known_dead=True, charge=Charge(cause='{"kind":"lost"}', ids=["a", "not-held"])) == ["a"]
        assert room["attempts"] == {"a": '1 3 - 9 - 0 0 1\n{}\n{"kind":"lost"}'}
        assert room["suspects"] == {"a": place(1), "c": place(3)}
        assert (room["ready"], room["stats"]) == (None, {"lost": 1})

    def test_of_several_that_ran_each_has_shared_a_death_and_goes_back_to_its_place(self, room: Room) -> None:
        self.given(room)
        assert sorted(room.broker.reap("w", known_dead=True, charge=Charge(cause="{}", ids=["a", "b"], ran=2)) or ()) == [
            "a",
            "b",
        ]
        assert room["attempts"] == {"a": "1 2 - 9 - 1 0 0\n{}\n{}", "b": "0 0 - - - 1 0 0\n{}"}
        assert (room["ready"], room["ready:async"], room["suspects"]) == ({"a": place(1)}, {"b": place(2)}, {"c": place(3)})

    def test_at_the_second_they_are_suspects_half_as_many_side_by_side(self, room: Room) -> None:
        self.given(room)
        room.fill({"attempts": {"a": "0 0 - - - 1 0 0", "b": "0 0 - - - 0 0 0", "c": "0 0 - - - 4 0 4"}})
        room.broker.reap("w", known_dead=True, charge=Charge(cause="{}", ids=["a", "b", "c"], ran=7))
        assert room["attempts"] == {"a": "0 0 - - - 2 0 4\n{}", "b": "0 0 - - - 1 0 0\n{}", "c": "0 0 - - - 5 0 2\n{}"}
        assert (room["ready:async"], room["suspects"]) == ({"b": place(2)}, {"a": place(1), "c": place(3)})

    def test_a_lost_host_charges_no_delivery_until_a_suspect_was_alone(self, room: Room) -> None:
        self.given(room)
        room.fill({"attempts": {"a": "0 0 - - - 0 2 0", "b": "0 0 - - - 0 1 0", "c": "0 0 - - - 2 0 1"}})
        assert sorted(room.broker.reap("w", known_dead=False, charge=Charge(cause="{}", ids=None, verdict=LOST)) or ()) == [
            "a",
            "b",
            "c",
        ]
        assert room["attempts"] == {"a": "0 0 - - - 0 3 4\n{}", "b": "0 0 - - - 0 2 0\n{}", "c": "0 1 - - - 2 0 1\n{}"}
        assert (room["ready:async"], room["suspects"]) == ({"b": place(2)}, {"a": place(1), "c": place(3)})

    def test_one_that_takes_its_host_along_each_time_is_over_some_day(self, room: Room) -> None:
        room.fill({"tasks": {"t": sync()}, "ready": {"t": place(1)}})
        losses = 0
        while not is_over(room.broker.look("t").history, 5):
            where = "x" if room["suspects"] else "s"
            room.client.delete(room.prefix + "ready", room.prefix + "suspects")
            room.fill({"held:w": {"t": f"1 {where} {place(1)}"}, "workers": {"w": 5}})
            room.broker.reap("w", known_dead=False, charge=Charge(cause="{}", ids=None, verdict=LOST))
            losses += 1
        assert losses == 3 + 2 + 5

    def test_five_lost_hosts_convict_nobody(self, room: Room) -> None:
        room.fill({"tasks": {"t": sync()}, "held:w": {"t": f"1 s {place(1)}"}})
        for _ in range(5):
            room.fill({"held:w": {"t": f"1 s {place(1)}"}, "workers": {"w": 5}})
            room.broker.reap("w", known_dead=False, charge=Charge(cause="{}", ids=None, verdict=LOST))
        history = room.broker.look("t").history
        assert (history.deliveries, is_over(history, 5)) == (0, False)

    def test_a_verdict_is_noted_without_a_charge_and_no_suspicion(self, room: Room) -> None:
        self.given(room)
        room.broker.reap("w", known_dead=True, charge=Charge(cause="{}", ids=["b", "c"], verdict="T"))
        assert (room["attempts"]["b"], room["attempts"]["c"]) == ("0 0 - - T\n{}", "0 0 - - T\n{}")
        assert (room["ready"], room["ready:async"], room["suspects"]) == ({"a": place(1), "c": place(3)}, {"b": place(2)}, None)

    def test_the_last_goes_where_anybody_can_tell_of_its_end(self, room: Room) -> None:
        self.given(room)
        room.broker.reap("w", known_dead=True, charge=Charge(cause="{}", ids=["c"], last=["c"]))
        assert room["attempts"]["c"] == "0 1 - - - 0 0 1\n{}"
        assert (room["ready"], room["suspects"]) == ({"a": place(1), "c": place(3)}, None)

    def test_a_worker_that_has_its_lease_is_left_alone_unless_known_to_be_dead(self, room: Room) -> None:
        self.given(room, LATER)
        before = room.contents()
        assert room.broker.reap("w", known_dead=False, charge=Charge(ids=None)) is None
        assert room.broker.reap("never-was", known_dead=False, charge=Charge(ids=None)) is None
        assert room.contents() == before
        assert room.broker.reap("w", known_dead=True) == []

    def test_twice_is_as_once(self, room: Room) -> None:
        self.given(room)
        room.broker.reap("w", known_dead=True, charge=Charge(cause="{}", ids=["a"]))
        before = room.contents()
        room.broker.reap("w", known_dead=True, charge=Charge(cause="{}", ids=["a"]))
        assert {**room.contents(), "bell": 0, "bell:async": 0} == {**before, "bell": 0, "bell:async": 0}

    def test_more_than_a_thousand_are_put_back_too(self, room: Room) -> None:
        many = [f"t{n}" for n in range(2500)]
        room.fill(
            {
                "workers": {"w": 5},
                "worker:w": {"folder": ""},
                "held:w": {n: f"1 s {place(i)}" for i, n in enumerate(many)},
            }
        )
        room.broker.reap("w", known_dead=True)
        assert (len(room["ready"]), room["held:w"], room["workers"]) == (2500, None, None)


class TestClaim:
    def given(self, room: Room, *widths: int) -> None:
        ids = [f"t{n}" for n in range(len(widths))]
        room.fill({"suspects": {task_id: n for n, task_id in enumerate(ids)}})
        room.fill({"attempts": {task_id: f"0 0 - - - 2 0 {w}" for task_id, w in zip(ids, widths, strict=True)}})

    def test_a_hundred_supervisors_start_one_process_for_one_suspect(self, room: Room) -> None:
        self.given(room, 1)
        granted = [room.broker.claim(f"s{n}", 60_000) for n in range(100)]
        assert granted == [(1, 1), *[(0, 0)] * 99]
        assert room["claims"].keys() == {"s0"}
        assert 0 < room.ttl("claims") <= 120_000

    def test_as_many_as_it_takes_to_run_all_side_by_side(self, room: Room) -> None:
        self.given(room, 4, 4, 4, 4, 4, 1, 1)
        assert [room.broker.claim(f"s{n}", 60_000) for n in range(6)] == [(4, 4), (4, 1), (1, 1), (1, 1), (0, 0), (0, 0)]

    def test_those_that_may_run_side_by_side_with_about_as_many_make_a_company(self, room: Room) -> None:
        self.given(room, 1, 10, 1, 10, 5, 19, 20, 3)
        granted = [room.broker.claim(f"s{n}", 60_000) for n in range(7)]
        assert granted == [(1, 1), (10, 3), (1, 1), (5, 1), (20, 1), (3, 1), (0, 0)]

    def test_no_process_is_to_run_more_than_any_machine_allows(self, room: Room) -> None:
        self.given(room, *[50] * 40)
        assert [room.broker.claim(f"s{n}", 60_000) for n in range(4)] == [(32, 32), (32, 8), (0, 0), (0, 0)]

    def test_a_claim_is_renewed_given_up_or_runs_out(self, room: Room) -> None:
        self.given(room, 1)
        assert [room.broker.claim("s", 60_000) for _ in range(2)] == [(1, 1)] * 2
        assert room.broker.claim("o", 60_000) == (0, 0)
        room.broker.release("s")
        assert room["claims"] is None
        assert room.broker.claim("o", 1) == (1, 1)
        wait_until(lambda: room.broker.claim("s", 60_000) == (1, 1))

    def test_none_is_granted_where_nothing_waits_or_the_queue_is_paused(self, room: Room) -> None:
        assert room.broker.claim("s", 60_000) == (0, 0)
        self.given(room, 1)
        room.broker.pause()
        assert room.broker.claim("s", 60_000) == (0, 0)
        assert room["claims"] is None


class TestTakeBack:
    def test_as_many_as_were_drained_go_back_from_the_tail_of_their_fetch(self, room: Room) -> None:
        held = {"a": f"257 s {place(10)} 0", "b": f"257 s {place(9)} 1", "c": f"257 a {place(2)} 2", "d": f"258 s {place(99)} 0"}
        room.fill({"held:w": held})
        assert room.broker.take_back("w", 257, 2) == 2
        assert room.contents() == {
            "held:w": {"c": held["c"], "d": held["d"]},
            "ready": {"a": place(10), "b": place(9)},
            "bell": ["1"] * 2,
        }

    def test_suspects_of_either_kind_are_suspects_again(self, room: Room) -> None:
        room.fill({"held:w": {"a": f"1 x {place(1)} 1", "b": f"1 y {place(2)} 0"}})
        assert room.broker.take_back("w", 1, 2) == 2
        assert (room["held:w"], room["suspects"]) == (None, {"a": place(1), "b": place(2)})

    def test_no_more_than_there_are(self, room: Room) -> None:
        room.fill({"held:w": {"a": f"1 x {place(1)} 0", "b": f"1 a {place(2)} 1"}})
        assert room.broker.take_back("w", 1, 99) == 2
        assert (room["held:w"], room["suspects"], room["ready:async"]) == (None, {"a": place(1)}, {"b": place(2)})
        assert room.broker.take_back("w", 1, 99) == 0

    def test_the_tail_is_as_it_was_fetched_whatever_of_it_is_gone(self, room: Room) -> None:
        """The worker has put the last ones back itself, or has had them handed over anew: what is last by now, has started."""
        held = {"started": f"5 s {place(1)} 3", "again": f"6 s {place(4)} 0"}
        room.fill({"held:w": held})
        for _ in range(2):
            assert room.broker.take_back("w", 5, 3) == 0
        assert room.contents() == {"held:w": held}

    def test_a_fetch_whose_number_looks_alike_is_another(self, room: Room) -> None:
        """That of a coroutine which runs since 256 fetches; one whose outcome is told apart is of no fetch."""
        held = {"runs": f"5 a {place(9)} 0", "ended": f"0 a {place(8)}", "waits": f"261 a {place(7)} 0"}
        room.fill({"held:w": held})
        assert room.broker.take_back("w", 261, 1) == 1
        assert (room["held:w"].keys(), room["ready:async"]) == ({"runs", "ended"}, {"waits": place(7)})
        assert (room.broker.take_back("w", 0, 9), len(room["held:w"])) == (0, 2)


class TestUnpark:
    def test_parked_tasks_have_their_places_again(self, room: Room) -> None:
        room.fill({"tasks": {"s": sync(), "a": coro()}, "attempts": {"s": "1 0 task:x 5 -\n{}"}, "needs": ["task:x", "task:y"]})
        room.fill({"parked:task:x": {"s": place(3), "a": place(4), "taskless": place(5)}})
        assert room.broker.needs() in (["task:x", "task:y"], ["task:y", "task:x"])
        assert room.broker.unpark("task:x", "s", 9) == 3
        assert room.contents() == {
            "tasks": {"s": sync(), "a": coro()},
            "attempts": {"s": "1 0 - 5 -\n{}", "a": "0 0 - - -"},
            "ready": {"s": place(3)},
            "ready:async": {"a": place(4)},
            "needs": {"task:y"},
            "bell:async": ["1"],
        }

    def test_no_more_than_the_worker_has_room_for(self, room: Room) -> None:
        room.fill({"tasks": {id: sync() for id in "abc"}, "needs": ["task:x"], "parked:task:x": {"a": 1, "b": 2, "c": 3}})
        assert room.broker.unpark("task:x", "s", 2) == 2
        assert (room["ready"], room["parked:task:x"], room["needs"]) == ({"a": 1, "b": 2}, {"c": 3}, {"task:x"})

    @pytest.mark.parametrize("task", [sync(), coro()])
    def test_a_suspect_goes_back_to_the_suspects(self, room: Room, task: str) -> None:
        room.fill(
            {"tasks": {"t": task}, "attempts": {"t": "0 2 wire:2 - - 0 0 1\n{}"}, "needs": ["wire:2"], "parked:wire:2": {"t": 3}}
        )
        assert room.broker.unpark("wire:2", "s", 9) == 1
        assert room.contents() == {"tasks": {"t": task}, "attempts": {"t": "0 2 - - - 0 0 1\n{}"}, "suspects": {"t": 3}}

    def test_who_asks_fetches_them_and_rings_for_nobody(self, room: Room) -> None:
        room.fill({"tasks": {"s": sync(), "a": coro()}, "needs": ["task:x"], "parked:task:x": {"s": 3, "a": 4}})
        assert room.broker.unpark("task:x", "a", 9) == 2
        assert (room["bell"], room["bell:async"], room["needs"]) == (None, None, None)


def test_old_counters_are_trimmed(room: Room) -> None:
    room.client.hset(room.prefix + "stats", mapping={"99:succeeded": 1, "100:succeeded": 2, "101:failed": 3})
    room.broker.trim_stats(100)
    assert room["stats"] == {"succeeded": 2, "failed": 3}


def test_counters_of_years_are_trimmed_a_page_at_a_time_and_a_bounded_number_at_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "TRIM_PAGES", 5)
    key = room.prefix + "stats"
    room.client.hset(key, mapping={f"{minute}:succeeded": 1 for minute in range(20_000)})
    room.client.config_resetstat()
    room.broker.trim_stats(19_990)
    assert room.client.info("commandstats")["cmdstat_hscan"]["calls"] == 5
    assert 14_000 <= room.client.hlen(key) < 16_000
    for _ in range(5):
        room.broker.trim_stats(19_990)
    assert room.client.hlen(key) == 10


def test_what_remembers_ended_tasks_is_freed_before_it_expires_all_at_once(room: Room) -> None:
    room.fill({"done:0": ["a"], "done:1": ["b"], "done:2": ["c"]})
    for third, left in enumerate((119_000, 31_000, 29_000)):
        room.client.pexpire(f"{room.prefix}done:{third}", left)
    room.broker.free_done()
    assert (room["done:0"], room["done:1"], room["done:2"]) == ({"a"}, {"b"}, None)
    room.client.persist(room.prefix + "done:1")
    room.broker.free_done()
    assert room["done:1"] == {"b"}  # what never expires is somebody else's
