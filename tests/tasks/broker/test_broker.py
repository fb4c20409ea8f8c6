"""What clients' operations make of given contents: every key, before and after."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hotqueue.errors import ConfigError
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.rules.history import History
from tests.tasks.contents import BAND, Room, coro, place, sync

pytestmark = pytest.mark.servers("server")


def now() -> int:
    return int(time.time() * 1000)


def one(task_id: str = "t", due: str = "", expires: str = "", envelope: str | None = None) -> Encoded:
    return Encoded(task_id, due, expires, (envelope or sync()).encode())


class TestEnqueue:
    def test_a_new_task_is_stored_placed_and_rung_for(self, room: Room) -> None:
        assert room.broker.enqueue([one()]) == [True]
        assert room.contents() == {
            "tasks": {"t": sync()},
            "ready": {"t": place(1)},
            "seq": "1",
            "bell": ["1"],
            "enqueued": {"?": 1},
        }

    def test_an_async_task_has_a_line_and_a_bell_of_its_own(self, room: Room) -> None:
        room.broker.enqueue([one(envelope=coro())])
        assert room.contents() == {
            "tasks": {"t": coro()},
            "ready:async": {"t": place(1)},
            "seq": "1",
            "bell:async": ["1"],
            "enqueued": {"?": 1},
        }

    @pytest.mark.parametrize("thing", ["ready", "seq"])
    def test_a_key_of_the_wrong_type_stores_nothing(self, room: Room, thing: str) -> None:
        room.client.rpush(room.prefix + thing, "not ours")
        with pytest.raises(ConfigError, match=r"list|integer|number"):
            room.broker.enqueue([one()])
        assert {k: v for k, v in room.contents().items() if k != "seq" or thing == "seq"} == {thing: ["not ours"]}

    @pytest.mark.parametrize(
        "before",
        [
            {"tasks": {"t": "old"}},
            {"result:t": "blob"},
            {"dead:tasks": {"t": "{}\n"}},
            {"done:0": ["t"]},
            {"done:1": ["t"]},
            {"done:2": ["t"]},
            {"done:1": ["\0t"]},
        ],
        ids=lambda before: next(iter(before)),
    )
    def test_a_known_id_changes_nothing(self, room: Room, before: dict[str, Any]) -> None:
        contents = room.fill(before).contents()
        assert room.broker.enqueue([one()]) == [False]
        assert room.contents() == contents

    def test_the_same_id_twice_in_one_call_is_one_task(self, room: Room) -> None:
        assert room.broker.enqueue([one(), one(envelope=sync("other"))]) == [True, False]
        assert room["tasks"] == {"t": sync()}

    def test_priorities_are_bands_of_places(self, room: Room) -> None:
        room.broker.enqueue([one(f"p{p}", envelope=sync(priority=p)) for p in (0, -100, 27)])
        assert room["ready"] == {"p0": 100 * BAND + 1, "p-100": 200 * BAND + 2, "p27": 73 * BAND + 3}

    @pytest.mark.parametrize("due", ["+5000", "at"])
    def test_a_task_for_later_is_scheduled(self, room: Room, due: str) -> None:
        room.broker.enqueue([one(due=str(now() + 5000) if due == "at" else due)])
        found = room.contents()
        assert 3000 < found.pop("scheduled")["t"] - now() <= 6000
        assert found == {"tasks": {"t": sync()}, "seq": "1", "bell": ["1"], "enqueued": {"?": 1}}

    def test_only_a_new_earliest_due_time_rings(self, room: Room) -> None:
        room.fill({"scheduled": {"z": now() + 1000}})
        room.broker.enqueue([one(due="+60000")])
        assert room["bell"] is None

    @pytest.mark.parametrize("due", ["+0", "1000"])
    def test_what_is_due_already_is_ready(self, room: Room, due: str) -> None:
        room.broker.enqueue([one(due=due)])
        assert (room["ready"], room["scheduled"]) == ({"t": place(1)}, None)

    def test_an_expiry_is_the_tasks_first_history(self, room: Room) -> None:
        room.broker.enqueue([one(expires="+5000"), one("u", expires="1893456000000")])
        retries, deliveries, need, expires, verdict = room["attempts"]["t"].split(" ")
        assert (retries, deliveries, need, verdict) == ("0", "0", "-", "-")
        assert 3000 < int(expires) - now() <= 6000
        assert room["attempts"]["u"] == "0 0 - 1893456000000 -"

    @pytest.mark.parametrize("thing", ["ready", "scheduled", "expiring"])
    def test_of_several_that_are_refused_none_is_left_in_any_place(self, room: Room, thing: str) -> None:
        """Sent again, it would stand in two."""
        room.client.rpush(room.prefix + thing, "junk")
        with pytest.raises(ConfigError, match=thing):
            room.broker.enqueue([one("a", due="+60000", expires="+90000"), one("b")])
        assert room.contents() == {thing: ["junk"], "seq": "2"}

    def test_a_bell_holds_few_tokens(self, room: Room) -> None:
        room.broker.enqueue([one(f"t{n}") for n in range(50)])
        assert room["bell"] == ["1"] * 4

    def test_a_key_of_another_type_is_named(self, room: Room) -> None:
        room.client.set(room.prefix + "tasks", "x")
        with pytest.raises(ConfigError, match="another type"):
            room.broker.enqueue([one()])


class TestLook:
    @pytest.mark.parametrize(
        ("contents", "where", "detail"),
        [
            ({}, "unknown", 0),
            ({"result:t": "blob"}, "result", 0),
            ({"done:1": ["t"]}, "done", 0),
            ({"dead:tasks": {"t": "{}"}}, "dead", 0),
            ({"tasks": {"t": "E"}, "ready": {"a": 1, "b": 2, "t": 3}}, "ready", 2),
            ({"tasks": {"t": "E"}, "ready:async": {"t": 3}}, "ready", 0),
            ({"tasks": {"t": "E"}, "suspects": {"t": 3}}, "suspect", 0),
            ({"tasks": {"t": "E"}, "scheduled": {"t": 777}}, "scheduled", 777),
            ({"tasks": {"t": "E"}, "attempts": {"t": "0 0 task:x - -"}, "parked:task:x": {"t": 1}}, "parked", 0),
            ({"tasks": {"t": "E"}, "held:w": {"t": "1 s 1"}}, "held", 0),
        ],
    )
    def test_where_a_task_is(self, room: Room, contents: dict[str, Any], where: str, detail: int) -> None:
        looked = room.fill(contents).broker.look("t")
        assert (looked.where, looked.detail) == (where, detail)
        assert looked.envelope == (b"E" if "tasks" in contents else b"")

    def test_what_else_is_known(self, room: Room) -> None:
        room.fill({"result:t": "blob", "attempts": {"t": "2 1 - 5 -"}})
        room.broker.report("t", {"done": 1, "total": 2, "message": ""})
        looked = room.broker.look("t")
        assert (looked.record, looked.history) == (b"blob", History(2, 1, expires=5))
        assert looked.progress == {"done": 1, "total": 2, "message": ""}
        assert room.ttl("progress:t") > 0


class TestWait:
    def test_what_has_ended_is_told_at_once(self, room: Room) -> None:
        room.fill({"result:r": "blob", "done:2": ["d"]})
        assert room.broker.wait(["r", "d", "u"], "c") == {}
        assert room["reply:c"] == ["Rr\0blob", "Dd\0", "Uu\0"]
        assert 0 < room.ttl("reply:c") <= 60_000

    def test_for_what_has_not_the_reply_list_is_registered(self, room: Room) -> None:
        before = room.fill({"tasks": {"t": sync(), "v": sync()}}).contents()
        assert room.broker.wait(["t", "v"], "c") == {}
        assert room.contents() == {**before, "waiters": dict.fromkeys("tv", room.prefix + "reply:c")}

    def test_when_those_that_are_still_to_come_expire_is_answered(self, room: Room) -> None:
        now = room.broker.store.command("x", "TIME")
        ms = int(now[0]) * 1000
        attempts = {"t": f"0 0 - {ms + 60_000} -", "late": f"0 0 - {ms - 60_000} -", "v": "1 0 - - -"}
        room.fill({"tasks": dict.fromkeys(["t", "late", "v"], sync()), "attempts": attempts, "result:r": "blob"})
        for _ in range(2):  # also when asked again
            found = room.broker.wait(["t", "late", "v", "r"], "c")
            assert list(found) == ["t"]
            assert 50_000 < found["t"] <= 60_000
        sent = room["reply:c"]
        assert [message[:5] for message in sent[::2]] == ["Elate", "Elate"]
        assert sent[1::2] == ["Rr\0blob"] * 2

    def test_who_does_not_read_is_sent_ids_alone_and_in_the_end_a_mark(self, room: Room) -> None:
        ids = [f"t{n}" for n in range(10_050)]
        for n, task_id in enumerate(ids):
            room.client.set(f"{room.prefix}result:{task_id}", b"x" * (20_000 if n < 2000 else 20))
        for start in range(0, len(ids), 1000):
            room.broker.wait(ids[start : start + 1000], "c")
        key = f"{room.prefix}reply:c"
        assert room.client.llen(key) == 10_001
        assert room.client.memory_usage(key, samples=0) < 3 << 20
        found = room.client.lrange(key, 0, -1)
        assert found[0] == b"Rt0\0" + b"x" * 20_000
        assert found[1999] == b"Bt1999\x0020000"
        assert found[2500] == b"Rt2500\0" + b"x" * 20
        assert found[-1] == b"?"

    def test_each_client_is_registered_once(self, room: Room) -> None:
        room.fill({"tasks": {"t": sync()}})
        for client in ("c", "cc", "c", "cc"):
            room.broker.wait(["t"], client)
        assert room["waiters"] == {"t": f"{room.prefix}reply:c\n{room.prefix}reply:cc"}

    def test_of_very_many_clients_the_latest_are_registered(self, room: Room) -> None:
        room.fill({"tasks": {"t": sync()}})
        for n in range(2000):
            room.broker.wait(["t"], f"client-{n}")
        kept = room["waiters"]["t"].split("\n")
        assert kept[-1] == f"{room.prefix}reply:client-1999"
        assert 1000 < len(kept) < 1900
        assert all(name.startswith(room.prefix) for name in kept)


def test_records_can_be_read_and_forgotten(room: Room) -> None:
    room.fill({"result:t": "blob"})
    assert (room.broker.record("t"), room.broker.record("u")) == (b"blob", None)
    room.broker.forget("t")
    assert room.contents() == {}
