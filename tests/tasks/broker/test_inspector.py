"""What operators see and do, at given contents: the dead, counts, pausing, workers."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue.errors import HotQueueError
from hotqueue.tasks.rules.history import decode
from tests.tasks.contents import Room, coro, place, sync

pytestmark = pytest.mark.servers("server")


class TestDead:
    def fill(self, room: Room) -> None:
        room.fill({"dead": {"s": 10, "a": 20, "bad": 30}, "seq": "41"})
        room.fill({"dead:tasks": {"s": "{}\n" + sync("S", 3), "a": "{}\n" + coro("A\nA"), "bad": "{}\n"}})
        room.fill({"result:s": "failed", "attempts": {"s": "3 5 - 7 T"}})

    def test_the_newest_come_first(self, room: Room) -> None:
        self.fill(room)
        rows, last = room.broker.dead(2)
        assert [row[:2] for row in rows] == [("bad", 30), ("a", 20)]
        assert room.broker.dead(9, behind=last)[0] == [("s", 10, ("{}\n" + sync("S", 3)).encode())]
        assert room.broker.dead(9, start=2)[0] == room.broker.dead(9, behind=last)[0]
        assert (room.broker.dead(9, start=3), room.broker.dead_count()) == (([], None), 3)

    def test_pages_come_to_an_end_whatever_the_last_id_is(self, room: Room) -> None:
        room.fill({"dead": {"": 10, "b": 20}, "dead:tasks": {"": "{}\n", "b": "{}\n"}})
        rows, last = room.broker.dead(2)
        assert [row[:2] for row in rows] == [("b", 20), ("", 10)]
        assert room.broker.dead(2, behind=last)[0] == []

    def test_the_revived_have_a_clean_slate_and_a_new_place(self, room: Room) -> None:
        self.fill(room)
        assert room.broker.revive(["s", "a", "bad", "unknown"]) == ["s", "a"]
        found = room.contents()
        attempts = {task_id: decode(value.encode()) for task_id, value in found.pop("attempts").items()}
        assert attempts.keys() == {"s", "a"}
        assert all((past.tries, past.errors, (past.due or 0) > 0) == (0, [], True) for past in attempts.values())
        assert found == {
            "tasks": {"s": sync("S", 3), "a": coro("A\nA")},
            "ready": {"s": place(42, 3)},
            "ready:async": {"a": place(43)},
            "seq": "43",
            "bell": ["1"] * 2,
            "bell:async": ["1"] * 2,
            "enqueued": {"?": 2},
        }

    def test_the_discarded_are_gone(self, room: Room) -> None:
        self.fill(room)
        assert room.broker.discard(["s", "a", "unknown"]) == 2
        assert (room["dead"], room["dead:tasks"]) == ({"bad": 30}, {"bad": "{}\n"})

    @pytest.mark.parametrize("value", ["junk", ["junk"]], ids=["text", "list"])
    def test_a_count_of_bytes_that_is_none_loses_none_of_them(self, room: Room, value: Any) -> None:
        self.fill(room)
        room.fill({"dead:bytes": value})
        assert room.broker.revive(["s"]) == ["s"]
        assert room.broker.discard(["a"]) == 1
        assert (room["dead"], room["tasks"]) == ({"bad": 30}, {"s": sync("S", 3)})

    def test_without_a_place_for_them_they_stay_dead(self, room: Room) -> None:
        self.fill(room)
        room.client.set(room.prefix + "seq", "junk")
        with pytest.raises(HotQueueError):
            room.broker.revive(["s"])
        assert (set(room["dead"]), set(room["dead:tasks"]), room["result:s"]) == ({"s", "a", "bad"}, {"s", "a", "bad"}, "failed")
        room.client.set(room.prefix + "seq", "41")
        assert room.broker.revive(["s"]) == ["s"]


class TestCounts:
    def test_each_task_is_counted_where_it_is(self, room: Room) -> None:
        room.fill({"tasks": dict.fromkeys("abcdefgh", "E"), "ready": {"a": 1}, "ready:async": {"b": 1}, "suspects": {"c": 1}})
        room.fill(
            {"scheduled": {"d": 1}, "needs": ["task:x", "python:3.9"], "parked:task:x": {"e": 1}, "parked:python:3.9": {"f": 1}}
        )
        room.fill({"dead": {"z": 1}, "blocked": ["g"], "steps": {"h": "1 0 5  "}})
        counted = {"unfinished": 8, "ready": 3, "suspects": 1, "scheduled": 1, "blocked": 1, "steps": 1, "parked": 2, "dead": 1}
        assert room.broker.counts() == counted | {"waiting": 8}


def test_workers_are_told_with_what_they_announced(room: Room) -> None:
    room.fill({"workers": {"w": 5, "leaves-just-now": 6}, "worker:w": {"host": "h", "folder": "/f", "lease": "5000 3 99"}})
    assert room.broker.workers() == [{"worker": "w", "host": "h", "folder": "/f", "lease": "5000"}]
    assert (room.broker.where_is("w"), room.broker.where_is("x")) == (("/f", ""), ("", ""))
