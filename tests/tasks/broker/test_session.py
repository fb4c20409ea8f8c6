"""What one worker's operations make of given contents: every key, before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.sizes import READ_BYTES
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.session import ALONE, Session
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from tests.support.proxy import HALF_REPLY, SILENCE, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks.contents import BAND, Room, coro, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def session_of(room: Room, kind: str = "s", worker: str = "w", number: int = 0) -> Session:
    """Return the session of a worker that has its lease."""
    room.fill({"workers": {worker: LATER}, f"worker:{worker}": {"fetch": number}})
    session = Session(room.broker, worker, kind)
    session.number = number
    return session


def holding(room: Room, **more: Any) -> Session:
    """Return the session of a worker that fetched sync task "t" under number 1."""
    room.fill({"tasks": {"t": sync("T")}, "held:w": {"t": f"1 s {place(7)}"}, **more})
    return session_of(room, number=1)


def mine(room: Room, number: int = 2) -> dict[str, Any]:
    return {"workers": {"w": LATER}, "worker:w": {"fetch": str(number)}}


class TestRegister:
    def test_a_worker_announces_itself(self, room: Room) -> None:
        Session(room.broker, "w", "s").register(5000, {"host": "h", "folder": "/f"}, 240_000)
        now = time.time() * 1000
        found = room.contents()
        assert found.keys() == {"workers", "worker:w"}
        assert now + 238_000 < -found["workers"]["w"] < now + 242_000
        said = {"host": "h", "folder": "/f", "lease": "5000"}
        assert {**found["worker:w"], "since": "?"} == {"fetch": "0", "since": "?", "schema": "1", "tasks": "", **said}

    def test_one_that_holds_something_has_a_lease_at_once(self, room: Room) -> None:
        room.fill({"held:w": {"t": f"1 s {place(7)}"}})
        Session(room.broker, "w", "s").register(5000, {"host": "h"})
        now = time.time() * 1000
        assert now + 3000 < room["workers"]["w"] < now + 6000

    def test_an_announcement_that_comes_late_opens_no_door_to_old_fetches(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}})
        session = Session(room.broker, "w", "s")
        session.register(5000, {"host": "h", "folder": "/f"})
        session.number = 7
        session.step(1, ())
        session.step(0, [("a", 8, "P", b"", 0, "")])
        before = room["worker:w"]
        session.register(5000, {"host": "h", "folder": "/f"})
        assert room["worker:w"] == before == {**before, "fetch": "8"}
        late = Session(room.broker, "w", "s")
        late.number = 3
        with pytest.raises(ConnectionFailed, match="late"):
            late.step(1)
        assert (room["ready"], session.number) == ({"a": 1}, 8)

    def test_only_fetches_use_up_numbers(self, room: Room) -> None:
        session = session_of(room)
        assert [session.begin(room_for).number for room_for in (1, 0, 0)] == [1, 0, 0]
        assert session.number == 1


class TestLease:
    @pytest.mark.parametrize(
        "given", [{"tasks": {"t": sync()}, "ready": {"t": 1}}, {"tasks": {"t": sync()}, "suspects": {"t": 1}}]
    )
    def test_it_begins_with_what_a_worker_fetches(self, room: Room, given: dict[str, Any]) -> None:
        session = Session(room.broker, "w", "s")
        session.register(5000, {"host": "h"})
        session.width = ALONE if "suspects" in given else 0
        assert session.step(1).deliveries == []
        assert room["workers"]["w"] < 0
        room.fill(given)
        assert session.step(1).deliveries
        now = time.time() * 1000
        assert now + 3000 < room["workers"]["w"] < now + 6000

    def test_a_fetch_does_not_renew_one_that_has_begun(self, room: Room) -> None:
        room.fill({"tasks": {"t": sync()}, "ready": {"t": 1}, "workers": {"w": 5}, "worker:w": {"lease": "5000"}})
        assert Session(room.broker, "w", "s").step(1).deliveries
        assert room["workers"] == {"w": 5}

    def test_it_begins_with_what_is_handed_over_again(self, room: Room) -> None:
        room.fill({"tasks": {"t": sync()}, "held:w": {"t": f"1 s {place(7)}"}, "workers": {"w": -5}, "worker:w": {"fetch": "1"}})
        session = Session(room.broker, "w", "s")
        session.number = 1
        assert session.recover([])
        now = time.time() * 1000
        assert now + 12_000 < room["workers"]["w"] < now + 16_000, "as long as one of a worker that did not say"


class TestFetch:
    def test_tasks_are_held_in_the_order_of_their_places(self, room: Room) -> None:
        room.fill({"tasks": {"b": sync("B"), "a": sync("A"), "c": sync("C")}, "attempts": {"b": "1 0 - - -"}})
        room.fill({"ready": {"b": place(2), "a": place(1), "c": place(3)}})
        stepped = session_of(room).step(2)
        assert stepped.deliveries == [
            Delivery("a", 1, "s", b"", sync("A").encode()),
            Delivery("b", 1, "s", b"1 0 - - -", sync("B").encode()),
        ]
        assert (stepped.due, stepped.alive, stepped.others, stepped.suspects, stepped.needs, stepped.gone) == (
            -1,
            True,
            0,
            0,
            0,
            [],
        )
        assert abs(stepped.now - time.time() * 1000) < 5000
        assert room.contents() == {
            **mine(room, 1),
            "tasks": {"a": sync("A"), "b": sync("B"), "c": sync("C")},
            "attempts": {"b": "1 0 - - -"},
            "ready": {"c": place(3)},
            "held:w": {"a": f"1 s {place(1)} 1", "b": f"1 s {place(2)} 0"},
            "bell": ["1"],
        }

    def test_the_lowest_place_is_carried_to_its_last_digit(self, room: Room) -> None:
        far = 200 * BAND + 12_345_678_901_235
        room.fill({"tasks": {"a": sync(priority=-100)}, "ready": {"a": far}})
        session = session_of(room)
        session.step(1)
        assert room["held:w"] == {"a": f"1 s {far} 0"}
        session.step(0, [("a", 1, "P", b"", 0, "")])
        assert room["ready"] == {"a": far}

    def test_a_paused_queue_gives_nothing_and_wakes_nobody(self, room: Room) -> None:
        """A token for tasks that nobody may have would send an idle worker round and round."""
        room.fill({"tasks": {"a": sync()}, "ready": {"a": place(1)}, "paused": "1"})
        assert session_of(room).step(1).deliveries == []
        assert (room["ready"], room["bell"]) == ({"a": place(1)}, None)

    def test_a_worker_without_a_lease_gets_nothing(self, room: Room) -> None:
        before = room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}}).contents()
        stepped = Session(room.broker, "w", "s").step(1)
        assert (stepped.alive, stepped.deliveries) == (False, [])
        assert room.contents() == before

    def test_a_fetch_that_arrives_late_is_refused(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}})
        session = session_of(room, number=5)
        session.number = 4
        before = room.contents()
        with pytest.raises(ConnectionFailed, match="late"):
            session.step(1)
        assert room.contents() == before

    def test_nothing_is_fetched_while_paused(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}, "paused": "1"})
        assert session_of(room).step(1).deliveries == []
        assert room["ready"] == {"a": 1}

    def test_each_kind_gets_its_own_and_hears_of_the_others(self, room: Room) -> None:
        room.fill({"tasks": {"s": sync(), "a": coro()}, "ready": {"s": 1}, "ready:async": {"a": 2}})
        stepped = session_of(room, "a").step(9)
        assert ([d.id for d in stepped.deliveries], stepped.others) == (["a"], 1)
        stepped = session_of(room, "s", "w2").step(9)
        assert ([d.id for d in stepped.deliveries], stepped.others) == (["s"], 0)

    def test_a_suspect_comes_by_itself_and_only_where_about_so_many_run_side_by_side_as_may(self, room: Room) -> None:
        room.fill({"tasks": {"s": sync(), "x": sync(), "y": coro(), "z": sync()}, "ready": {"s": 1}})
        room.fill({"suspects": {"gone": 1, "x": 2, "y": 3, "z": 4}})
        room.fill({"attempts": {"x": "0 1 - - - 0 0 1", "y": "0 0 - - - 2 0 4", "z": "0 0 - - - 2 0 4"}})
        session = session_of(room)
        stepped = session.step(1)
        assert ([d.id for d in stepped.deliveries], stepped.suspects) == (["s"], 4)
        session.width = 4
        stepped = session.step(5)
        assert ([(d.id, d.origin) for d in stepped.deliveries], stepped.suspects) == ([("y", "y")], 3)
        session.width = 1
        assert [[d.id for d in session.step(5).deliveries] for _ in range(2)] == [["x"], []]
        session.width = 3
        assert [[d.id for d in session.step(5).deliveries] for _ in range(2)] == [["z"], []]
        assert room["suspects"] is None

    def test_one_that_runs_them_alone_fetches_any_suspect(self, room: Room) -> None:
        room.fill({"tasks": {"x": sync(), "z": sync()}, "suspects": {"x": 2, "z": 4}})
        room.fill({"attempts": {"x": "0 1 - - - 0 0 1", "z": "0 0 - - - 2 0 400"}})
        session = session_of(room)
        session.width = ALONE
        fetched = [session.step(5).deliveries for _ in range(3)]
        assert [[(d.id, d.origin) for d in some] for some in fetched] == [[("x", "x")], [("z", "x")], []]
        assert room["suspects"] is None

    def test_a_fetch_is_of_so_many_bytes_but_of_one_task_at_least(self, room: Room) -> None:
        room.fill({"tasks": {f"t{n}": sync("x" * (READ_BYTES // 2)) for n in range(3)}})
        room.fill({"ready": {f"t{n}": place(n) for n in range(3)}, "large": ["t0"]})
        session = session_of(room)
        assert [len(session.step(3).deliveries) for _ in range(4)] == [1, 1, 1, 0]

    def test_small_tasks_before_large_ones_do_not_bring_these_along(self, room: Room) -> None:
        """Twenty small ones before a hundred of 4 MB: what a fetch reads is what it hands over, and nothing is put back."""
        ids = [f"{n:03}" for n in range(120)]
        for n, each in enumerate(ids):
            room.fill({"tasks": {each: sync("x" * (READ_BYTES if n >= 20 else 100))}, "ready": {each: place(n)}})
        room.fill({"large": ids[20:]})
        session = session_of(room)
        room.client.config_resetstat()
        assert [d.id for d in session.step(256).deliveries] == ids[:20]
        assert [d.id for d in session.step(256).deliveries] == ids[20:21]
        used = room.client.info("commandstats")
        assert used["cmdstat_hstrlen"]["calls"] < 30
        assert "cmdstat_zadd" not in used
        assert len(room["ready"]) == 99

    def test_a_fetch_brings_a_thousand_at_most(self, room: Room) -> None:
        many = [f"t{n}" for n in range(9000)]
        room.fill({"tasks": dict.fromkeys(many, sync()), "ready": {each: place(n) for n, each in enumerate(many)}})
        assert len(session_of(room).step(9000).deliveries) == 1000

    def test_a_key_of_the_wrong_type_leaves_all_where_it_is(self, room: Room) -> None:
        before = room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}}).contents()
        for thing in ("held:w", "attempts"):
            room.client.set(room.prefix + thing, "not ours")
            with pytest.raises(ConfigError, match=r"another type|not a hash"):
                session_of(room).step(1)
            room.client.delete(room.prefix + thing)
        assert {**room.contents(), **before} == {**before, **mine(room, 0)}

    def test_a_place_without_a_task_is_thrown_away(self, room: Room) -> None:
        room.fill({"tasks": {"b": sync()}, "ready": {"a": 1, "b": 2}})
        assert [d.id for d in session_of(room).step(5).deliveries] == ["b"]
        assert room["ready"] is None

    def test_it_says_how_long_until_the_next_scheduled_task_and_how_many_needs_there_are(self, room: Room) -> None:
        room.fill({"scheduled": {"z": int(time.time() * 1000) + 60_000, "y": LATER}, "needs": ["task:a", "task:b"]})
        stepped = session_of(room).step(1)
        assert 50_000 < stepped.due <= 61_000
        assert stepped.needs == 2

    def test_a_step_without_room_fetches_nothing_and_uses_up_no_number(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}})
        assert session_of(room).step(0).deliveries == []
        assert room["worker:w"] == {"fetch": "0"}


class TestFinish:
    def test_a_success_leaves_its_result_and_tells_who_waits(self, room: Room) -> None:
        session = holding(room, attempts={"t": "1 0 - - -"}, waiters={"t": room.prefix + "reply:c"})
        stepped = session.step(1, [("t", 1, "S", b"blob", 300_000, "")])
        assert stepped.gone == []
        assert room.contents() == {
            **mine(room),
            "result:t": "blob",
            "reply:c": ["Rt\0blob"],
            "stats": {"succeeded": 1},
        }
        assert 290_000 < room.ttl("result:t") <= 300_000
        assert 0 < room.ttl("reply:c") <= 60_000

    @pytest.mark.parametrize("code", "SXEDRPK")
    @pytest.mark.parametrize("thing", ["tasks", "held:w"])
    def test_where_what_has_not_ended_is_of_the_wrong_type_nothing_is_settled_and_it_can_be_later(
        self, room: Room, thing: str, code: str
    ) -> None:
        session = holding(room)
        before, extra = room.contents(), {"D": "{}", "R": "1 0 - - -", "K": "task:t"}.get(code, "")
        settlement = ("t", 1, code, b"blob" if code in "SED" else b"", 300_000, extra)
        room.client.rename(room.prefix + thing, room.prefix + "moved")
        room.client.set(room.prefix + thing, "not ours")
        with pytest.raises(ConfigError, match=r"another type|not a hash"):
            session.step(0, [settlement])
        room.client.rename(room.prefix + "moved", room.prefix + thing)
        assert room.contents() == before
        assert session.step(0, [settlement]).gone == []
        assert room["held:w"] is None

    def test_a_large_result_is_fetched_by_the_waiter_itself(self, room: Room) -> None:
        session = holding(room, waiters={"t": room.prefix + "reply:c"})
        session.step(0, [("t", 1, "S", b"x" * 70_000, 300_000, "")])
        assert room["reply:c"] == ["Bt\x0070000"]

    def test_an_end_without_a_result_is_remembered_for_two_minutes(self, room: Room) -> None:
        session = holding(room, waiters={"t": room.prefix + "reply:c"})
        session.step(1, [("t", 1, "X", b"", 0, "")])
        (done,) = (k for k in room.contents() if k.startswith("done:"))
        assert room.contents() == {**mine(room), done: {"t"}, "reply:c": ["Dt\0"], "stats": {"succeeded": 1}}
        assert 0 < room.ttl(done) <= 119_000

    def test_an_end_with_another_result(self, room: Room) -> None:
        holding(room).step(1, [("t", 1, "E", b"revoked", 300_000, "")])
        assert room.contents() == {**mine(room), "result:t": "revoked", "stats": {"ended": 1}}

    def test_a_dead_task_is_kept_with_its_envelope_and_its_record(self, room: Room) -> None:
        holding(room).step(1, [("t", 1, "D", b"failure", 300_000, '{"error":"E"}')])
        found = room.contents()
        assert abs(found.pop("dead")["t"] - time.time() * 1000) < 5000
        assert found == {
            **mine(room),
            "result:t": "failure",
            "dead:tasks": {"t": '{"error":"E"}\n' + sync("T")},
            "dead:bytes": str(len('{"error":"E"}\n' + sync("T"))),
            "stats": {"failed": 1},
        }

    def test_the_dead_list_drops_what_is_older_than_90_days_and_counts_it(self, room: Room) -> None:
        old = int((time.time() - 91 * 86400) * 1000)
        session = holding(room, dead={"old": old}, **{"dead:tasks": {"old": "{}\n"}})
        session.step(1, [("t", 1, "D", b"failure", 300_000, "{}")])
        assert room["dead"].keys() == room["dead:tasks"].keys() == {"t"}
        assert room["stats"] == {"failed": 1, "dead_dropped": 1}

    def test_the_dead_list_is_bounded(self, room: Room) -> None:
        now = int(time.time() * 1000)
        many = {f"d{n}": now - 10_000 + n for n in range(10_000)}
        session = holding(room, dead=many, **{"dead:tasks": dict.fromkeys(many, "{}\n")})
        session.step(1, [("t", 1, "D", b"failure", 300_000, "{}")])
        assert len(room["dead"]) == len(room["dead:tasks"]) == 10_000
        assert "d0" not in room["dead"]

    def test_a_retry_is_scheduled_with_its_history(self, room: Room) -> None:
        holding(room).step(1, [("t", 1, "R", b"", 5000, "1 0 - - -\n{}")])
        found = room.contents()
        assert 3000 < found.pop("scheduled")["t"] - time.time() * 1000 < 7000
        assert found == {
            **mine(room),
            "tasks": {"t": sync("T")},
            "attempts": {"t": "1 0 - - -\n{}"},
            "stats": {"retried": 1},
        }

    @pytest.mark.parametrize(("envelope", "ready"), [(sync("T", 3), "ready"), (coro("T", 3), "ready:async")])
    def test_a_retry_without_delay_takes_a_new_place_at_once(self, room: Room, envelope: str, ready: str) -> None:
        session = holding(room)
        room.fill({"tasks": {"t": envelope}, "seq": "41"})
        session.step(0, [("t", 1, "R", b"", 0, "1 0 - - -")])
        assert (room[ready], room["scheduled"], room["seq"]) == ({"t": place(42, 3)}, None, "42")

    @pytest.mark.parametrize(("origin", "ready"), [("s", "ready"), ("a", "ready:async"), ("x", "suspects"), ("y", "suspects")])
    def test_what_is_put_back_has_its_place_again(self, room: Room, origin: str, ready: str) -> None:
        session = holding(room)
        room.fill({"held:w": {"t": f"1 {origin} {place(7)}"}})
        session.step(0, [("t", 1, "P", b"", 0, "")])
        assert room.contents() == {**mine(room, 1), "tasks": {"t": sync("T")}, ready: {"t": place(7)}, "stats": {"put_back": 1}}

    def test_what_cannot_run_here_is_parked_at_its_place(self, room: Room) -> None:
        holding(room).step(1, [("t", 1, "K", b"", 0, "task:a.b")])
        assert room.contents() == {
            **mine(room),
            "tasks": {"t": sync("T")},
            "attempts": {"t": "0 0 task:a.b - -"},
            "parked:task:a.b": {"t": place(7)},
            "needs": {"task:a.b"},
            "stats": {"parked": 1},
        }

    @pytest.mark.parametrize(("task_id", "number"), [("t", 2), ("other", 1), ("other", "*")])
    @pytest.mark.parametrize("code", "SXEDRPK")
    def test_what_is_not_ours_under_this_number_is_gone_and_nothing_changes(
        self, room: Room, task_id: str, number: Any, code: str
    ) -> None:
        session = holding(room)
        before = room.contents()
        stepped = session.step(0, [(task_id, number, code, b"blob", 1000, "1 0 - - -")])
        assert stepped.gone == [task_id]
        assert room.contents() == before

    def test_a_step_sent_twice_writes_nothing_twice(self, room: Room) -> None:
        session = holding(room, waiters={"t": room.prefix + "reply:c"})
        session.step(0, [("t", 1, "S", b"blob", 300_000, "")])
        before = room.contents()
        assert session.step(0, [("t", 1, "S", b"blob", 300_000, "")]).gone == ["t"]
        assert room.contents() == before

    def test_many_ends_and_a_fetch_are_one_step(self, room: Room) -> None:
        room.fill(
            {"tasks": {n: sync(n) for n in "abcd"}, "held:w": {n: f"1 s {place(1)}" for n in "abc"}, "ready": {"d": place(9)}}
        )
        session = session_of(room, number=1)
        settlement = [("a", 1, "S", b"A", 300_000, ""), ("b", 1, "K", b"", 0, "task:b"), ("c", 1, "R", b"", 60_000, "1 0 - - -")]
        assert [d.id for d in session.step(3, settlement).deliveries] == ["d"]
        assert (room["result:a"], room["parked:task:b"], list(room["scheduled"])) == ("A", {"b": place(1)}, ["c"])
        assert room["held:w"] == {"d": f"2 s {place(9)} 0"}


class TestRecover:
    def test_what_is_held_but_not_in_hand_is_handed_over_under_a_new_number(self, room: Room) -> None:
        room.fill({"tasks": {n: sync(n) for n in "ab"}, "attempts": {"b": "1 0 - - -"}})
        room.fill({"held:w": {"a": "1 s 1", "b": "2 s 2", "taskless": "2 s 3"}})
        session = session_of(room, number=2)
        assert session.recover(["a"]) == [Delivery("b", 3, "s", b"1 0 - - -", sync("b").encode())]
        assert room.contents() == {
            **mine(room, 3),
            "tasks": {n: sync(n) for n in "ab"},
            "attempts": {"b": "1 0 - - -"},
            "held:w": {"a": "1 s 1", "b": "3 s 2 0"},
        }

    @pytest.mark.parametrize("length", [3, 100], ids=["short ids", "long ids"])
    @pytest.mark.parametrize("count", [5, 300])
    def test_it_hands_over_in_the_order_of_places_and_the_tail_is_what_is_handed_over_last(
        self, room: Room, count: int, length: int
    ) -> None:
        """Of many, and of long ids, a hash tells in no order. Places of all priorities, to the last digit."""
        ids = [f"{n:0{length}}" for n in range(count)]
        at = {each: 200 * BAND + BAND - count + n if n % 2 else place(n, 100) for n, each in enumerate(ids)}
        room.fill({"tasks": dict.fromkeys(ids, sync()), "held:w": {each: f"1 s {at[each]} 0" for each in reversed(ids)}})
        session = session_of(room, number=1)
        found = [delivery.id for delivery in session.recover(ids[:1]) or ()]
        assert found == sorted(ids[1:], key=at.__getitem__)
        assert room.broker.take_back("w", session.number, 3) == 3
        assert room["ready"] == {each: at[each] for each in found[-3:]}

    def test_what_is_handed_over_has_the_order_that_equal_places_have_in_a_queue(self, room: Room) -> None:
        """A counter that was deleted gives places once more."""
        room.fill({"tasks": dict.fromkeys("abcd", sync()), "held:w": dict.fromkeys("dbca", f"1 s {place(1)} 0")})
        session = session_of(room, number=1)
        assert [delivery.id for delivery in session.recover([]) or ()] == ["a", "b", "c", "d"]

    def test_a_fetch_that_was_under_way_is_refused_afterwards(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}})
        session = session_of(room, number=1)
        assert session.recover([]) == []
        session.number = 1  # the lost fetch, number 2, arrives now
        with pytest.raises(ConnectionFailed):
            session.step(1)
        assert room["ready"] == {"a": 1}

    def test_a_worker_that_was_given_up_is_told_so(self, room: Room) -> None:
        room.fill({"tasks": {"a": sync()}, "held:w": {"a": "1 s 1"}})
        before = room.contents()
        assert Session(room.broker, "w", "s").recover([]) is None
        assert room.contents() == before


def test_what_has_ended_and_is_told_apart_is_not_taken_back_with_the_rest(room: Room) -> None:
    """A supervisor's taking back may come after the worker has put the same ones back itself: what is left of that fetch ran."""
    tasks = {name: sync(name) for name in ("ran", "b", "c")}
    room.fill({"tasks": tasks, "ready": {name: place(n) for n, name in enumerate(tasks)}})
    session = session_of(room)
    fetched = session.step(3).deliveries
    stays, outcome = settlement.apart(Settlement("ran", fetched[0].number, "S", b"record", 60_000, ""))
    session.step(0, [stays, *(settlement.put_back(delivery) for delivery in fetched[1:])])
    assert room.broker.take_back("w", 1, 2) == 0
    assert room.broker.take_back("w", 0, 2) == 0
    assert session.recover(["ran"]) == []
    assert session.settle([outcome]).gone == []
    assert room["result:ran"] == "record"
    assert session.settle([outcome, stays]).gone == ["ran", "ran"]


class TestRevoked:
    """A task that was revoked while a worker had it in hand: whoever fetches it next ends it, and who has it is told."""

    def marked(self, room: Room, **more: Any) -> Session:
        room.fill({"tasks": {n: sync(n) for n in "abc"}, "revoked": ["a", "c", "elsewhere"], **more})
        return session_of(room, number=1)

    def test_a_fetch_hands_it_over_with_its_verdict(self, room: Room) -> None:
        session = self.marked(room, ready={"a": 1, "b": 2, "c": 3}, attempts={"c": "1 2 - 9 -\n{}"})
        assert [d.history for d in session.step(3).deliveries] == [b"0 0 - - R", b"", b"1 2 - 9 R\n{}"]

    @pytest.mark.parametrize("count", [1, 9], ids=["few in hand", "many in hand"])
    @pytest.mark.parametrize("marks", [0, 200], ids=["few marks", "many marks"])
    def test_a_step_tells_which_of_those_in_hand_are(self, room: Room, count: int, marks: int) -> None:
        session = self.marked(room, **{"held:w": {each: f"1 s 1 {n}" for n, each in enumerate("abdefghij"[:count])}})
        room.fill({"revoked": ["c", *(f"other-{n}" for n in range(marks))]})
        told = set(session.step(0).revoked)  # few are told as they are
        assert told == {"a"} if marks else told == {"a", "c", "elsewhere"}

    def test_it_is_put_back_rather_than_parked_and_ended_by_the_next_fetch(self, room: Room) -> None:
        session = self.marked(room, **{"held:w": {"a": f"1 s {place(1)} 0", "b": f"1 s {place(2)} 0"}})
        stepped = session.step(5, [("a", 1, "K", b"", 0, "task:x"), ("b", 1, "K", b"", 0, "task:x")])
        assert [(d.id, d.history) for d in stepped.deliveries] == [("a", b"0 0 - - R")]
        assert room["parked:task:x"] == {"b": place(2)}

    @pytest.mark.parametrize("code", "SXED")
    def test_the_marks_go_with_the_task(self, room: Room, code: str) -> None:
        session = self.marked(room, **{"held:w": {"a": "1 s 1 0"}, "large": ["a"], "expiring": {"a": LATER}})
        session.step(0, [("a", 1, code, b"" if code == "X" else b"blob", 1000, "{}" if code == "D" else "")])
        assert (room["revoked"], room["large"], room["expiring"]) == ({"c", "elsewhere"}, None, None)

    @pytest.mark.parametrize("thing", ["revoked", "large", "expiring"])
    def test_junk_in_these_keys_stops_no_work(self, room: Room, thing: str) -> None:
        room.fill({"tasks": {"a": sync(), "b": sync()}, "held:w": {"a": "1 s 1 0"}, "ready": {"b": 2}})
        room.client.set(room.prefix + thing, "junk")
        session = session_of(room, number=1)
        assert [d.id for d in session.step(3, [("a", 1, "S", b"blob", 1000, "")]).deliveries] == ["b"]
        assert (room["result:a"], room["tasks"]) == ("blob", {"b": sync()})
        room.client.delete(room.prefix + thing)


def test_a_connection_that_ends_while_it_is_looked_at_is_a_lost_reply(
    start_redis: Callable[..., RedisServer],
) -> None:
    server = start_redis()
    with HotQueue("q", url=server.url) as queue:
        session = Session(queue._tasks.broker, "w", "s")
        session.register(5000, {"host": "h"})
        server.pause()
        step = session.begin(1)
        assert not step.has_answered(0.05)
        server.kill()
        wait_until(lambda: step.has_answered(0.05))
        assert step.is_answered  # whoever looks once more is not to ask for its descriptor
        with pytest.raises(ConnectionFailed, match="Connection"):
            step.end()


class TestAReplyThatIsUnderWay:
    """Whoever has other servers to work for must not wait for the rest of it."""

    @pytest.fixture
    def proxied(self, start_redis: Callable[..., RedisServer]) -> Iterator[tuple[Proxy, Session]]:
        proxy = Proxy(start_redis().url)
        with HotQueue("q", url=proxy.url) as queue:
            session = Session(queue._tasks.broker, "w", "s")
            session.register(5000, {"host": "h"})
            yield proxy, session
        proxy.close()

    def test_half_of_it_is_no_answer(self, proxied: tuple[Proxy, Session]) -> None:
        proxy, session = proxied
        session.step(1)
        proxy.add(Fault(HALF_REPLY, scripts.STEP.sha))
        step = session.begin(1)
        for _ in range(3):
            assert not step.has_answered(0.05)
        assert proxy.faults[HALF_REPLY] == 1
        proxy.pass_rest()
        wait_until(lambda: step.has_answered(0.05))
        assert step.end().alive
        assert session.step(1).alive  # the connection is as good as before

    def test_a_script_that_is_not_there_is_sent_without_waiting_for_it(self, proxied: tuple[Proxy, Session]) -> None:
        proxy, session = proxied
        session.broker.store.client().script_flush()
        proxy.add(Fault(SILENCE, b"EVAL\r\n"))
        step = session.begin(1)
        wait_until(lambda: bool(step.has_answered(0.01) or proxy.swallowed))
        assert not step.has_answered(0.05)
        step.abandon()
        again = session.begin(1)
        wait_until(lambda: again.has_answered(0.05))
        assert again.end().alive
