"""Pausing: what is paused does not start, waits at its place and holds up nothing else; where nothing is, it costs nothing.

Of this kind: each set from which a worker fetches, tasks at gates, more in front than one fetch looks at, the way back by whoever
resumes and by workers where that one died, pauses as older versions wrote them and take them. With real workers:
tests/crash/test_pausing.py.
"""

from __future__ import annotations

import pytest

from hotqueue import ConfigError
from hotqueue.tasks.broker import pausing
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.session import ALONE, Session
from hotqueue.tasks.wire import envelope
from tests.tasks.contents import Room, place

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def of(name: str, *, is_async: bool = False, priority: int = 0, gates: bytes = b"") -> bytes:
    """Return an envelope of a task that is called so."""
    call, flags = envelope.call_header("7", gates=gates)
    kind = envelope.ASYNC if is_async else envelope.SYNC
    return envelope.Form(envelope.task_header(name, "q", {"max_retries": 1}), kind, priority, flags).encode(b"x", 0, call, b"p")


def worker(room: Room, name: str = "w", kind: str = "s") -> Session:
    session = Session(room.broker, name, kind)
    session.register(60_000, {"host": "h"})
    return session


def fetched(session: Session, room: int = 10) -> list[str]:
    return [delivery.id for delivery in session.step(room).deliveries]


class TestPause:
    def test_pause_and_resume(self, room: Room) -> None:
        room.broker.pause()
        assert (list(room.contents()), room.broker.is_paused()) == (["paused"], True)
        room.broker.resume()
        assert (room.contents(), room.broker.is_paused()) == ({"bell": ["1"], "bell:async": ["1"]}, False)

    def test_a_name_that_is_paused_is_set_aside_and_the_others_are_handed_over(self, room: Room) -> None:
        room.fill({"tasks": {"a": of("mail"), "b": of("price"), "c": of("mail"), "d": of("mailer")}})
        room.fill({"ready": {"a": place(1), "b": place(2), "c": place(3), "d": place(4)}, "attempts": {"c": "2 0 - 77 -\n{}"}})
        room.broker.pause("mail")
        session = worker(room)
        stepped = session.step(10)
        assert ([d.id for d in stepped.deliveries], stepped.paused, stepped.needs, stepped.left) == (["b", "d"], ["mail"], 0, 0)
        assert (room["parked:paused:mail"], room["needs"]) == ({"a": place(1), "c": place(3)}, {"paused:mail"})
        assert room["attempts"] == {"a": "0 0 paused:mail - -", "c": "2 0 paused:mail 77 -\n{}"}
        assert room["ready"] is None

    def test_what_is_paused_comes_back_to_its_place(self, room: Room) -> None:
        names = {"a": of("mail"), "b": of("mail", priority=7), "c": of("mail", is_async=True), "x": of("mail")}
        room.fill({"tasks": names, "ready": {"a": place(1), "b": place(2, 7)}, "ready:async": {"c": place(3)}})
        room.fill({"suspects": {"x": place(4)}, "attempts": {"x": "0 0 - - - 2 0 4"}})
        before = room.contents()
        room.broker.pause("mail")
        for kind in "sa":
            assert fetched(worker(room, kind, kind)) == []
        suspects = worker(room, "x")
        suspects.width = ALONE
        assert fetched(suspects) == []
        assert len(room["parked:paused:mail"]) == 4
        room.broker.resume("mail")
        after = {key: value for key, value in room.contents().items() if not key.startswith(("worker", "bell"))}
        assert after == {**before, "attempts": {x: "0 0 - - - 2 0 4" if x == "x" else "0 0 - - -" for x in "abcx"}}
        assert room["bell"]
        assert room["bell:async"]

    def test_more_in_front_than_one_fetch_looks_at(self, room: Room) -> None:
        room.fill({"tasks": {f"m{n}": of("mail") for n in range(1500)} | {"a": of("price")}})
        room.fill({"ready": {f"m{n}": place(n) for n in range(1500)} | {"a": place(9999)}})
        room.broker.pause("mail")
        session = worker(room)
        first, second = session.step(1), session.step(1)
        assert (first.deliveries, first.left) == ([], 501)
        assert [delivery.id for delivery in second.deliveries] == ["a"]
        assert len(room["parked:paused:mail"]) == 1500
        room.broker.resume("mail")
        assert (room["ready"], room["needs"]) == ({f"m{n}": place(n) for n in range(1500)}, None)

    def test_a_slot_of_its_gate_is_not_kept(self, room: Room) -> None:
        tasks = [Encoded(name, "", "", of(name, gates=b"c1 k:shared")) for name in ("mail", "price")]
        room.broker.enqueue(tasks)
        assert (list(room["ready"]), list(room["lane:k:shared"])) == (["mail"], ["price"])
        room.broker.pause("mail")
        assert fetched(worker(room)) == ["price"]
        assert room["slots:k:shared"] == {"price"}
        room.broker.resume("mail")
        assert list(room["lane:k:shared"]) == ["mail"]

    def test_tasks_that_are_all_let_in_by_one_another_are_set_aside_too(self, room: Room) -> None:
        room.broker.enqueue([Encoded(f"m{n}", "", "", of("mail", gates=b"c1 t:mail")) for n in range(50)])
        room.broker.enqueue([Encoded("a", "", "", of("price"))])
        room.broker.pause("mail")
        session = worker(room)
        found = [delivery for _ in range(10) for delivery in fetched(session)]
        assert (found, len(room["parked:paused:mail"]), room["blocked"]) == (["a"], 50, None)

    def test_what_is_no_envelope_is_of_no_name(self, room: Room) -> None:
        room.fill(
            {"tasks": {"a": b"junk", "b": of("price")[:24], "c": b"\x02" + of("mail")[1:], "d": b"\x01s\x64\x00" + b"\xff" * 60}}
        )
        room.fill({"ready": {x: place(n) for n, x in enumerate("abcd")}})
        room.broker.pause("mail")
        assert fetched(worker(room)) == ["a", "b", "c", "d"]

    def test_two_names_and_the_whole_queue(self, room: Room) -> None:
        room.fill({"tasks": {"a": of("mail"), "b": of("price"), "c": of("é.ü")}, "ready": {"a": 1, "b": 2, "c": 3}})
        for name in ("mail", "é.ü", "", "mail"):
            room.broker.pause(name)
        assert (room.broker.is_paused(), set(room.broker.paused())) == (True, {"1", "task:mail", "task:é.ü"})
        session = worker(room)
        assert fetched(session) == []
        room.broker.resume()
        assert (fetched(session), room.broker.is_paused()) == (["b"], False)
        for name in ("mail", "é.ü", "é.ü"):
            room.broker.resume(name)
        assert (room["paused"], room["needs"], room["ready"]) == (None, None, {"a": 1, "c": 3})

    def test_a_queue_that_an_older_version_paused(self, room: Room) -> None:
        room.fill({"paused": "1", "tasks": {"a": of("mail")}, "ready": {"a": 1}})
        assert (room.broker.is_paused(), room.broker.paused()) == (True, {"1": 0})
        room.broker.pause("mail")
        assert fetched(worker(room)) == []
        room.broker.resume()
        assert list(room.broker.paused()) == ["task:mail"]

    def test_when_it_was_paused_stays_when_it_is_paused_again(self, room: Room) -> None:
        room.fill({"paused": "1 5\ntask:mail 7"})
        room.broker.pause("mail")
        room.broker.pause()
        assert room.broker.paused() == {"1": 5, "task:mail": 7}

    def test_so_many_names_and_no_more(self, room: Room) -> None:
        room.fill({"paused": "\n".join(f"task:t{n} 1" for n in range(pausing.MOST_PAUSED))})
        with pytest.raises(ConfigError, match="1000 names are paused at queue"):
            room.broker.pause("mail")
        room.broker.pause("t7")
        assert "task:mail" not in room.broker.paused()

    def test_a_key_of_the_wrong_type_is_named(self, room: Room) -> None:
        room.client.sadd(room.prefix + "paused", "x")
        room.fill({"tasks": {"a": of("mail")}, "ready": {"a": 1}})
        for pause in (room.broker.pause, room.broker.resume):
            with pytest.raises(ConfigError, match="paused"):
                pause("mail")
        assert fetched(worker(room)) == []


class TestTheWayBack:
    def test_what_is_still_paused_stays(self, room: Room) -> None:
        room.fill({"tasks": {"a": of("mail")}, "ready": {"a": 1}})
        room.broker.pause("mail")
        fetched(worker(room))
        assert room.broker.unpark("paused:mail", "s", 10) == 0

    def test_workers_see_to_it_where_whoever_resumed_died(self, room: Room) -> None:
        """Between the two scripts: the name is not paused any more, and its tasks are parked."""
        room.fill({"tasks": {"a": of("mail")}, "needs": ["paused:mail"], "parked:paused:mail": {"a": 5}})
        room.fill({"attempts": {"a": "0 0 paused:mail - -"}})
        session = worker(room)
        assert session.step(1).needs == 1
        assert room.broker.unpark("paused:mail", "s", 10) == 1
        assert fetched(session) == ["a"]

    def test_a_full_server_can_be_resumed(self, room: Room) -> None:
        room.broker.pause("mail")
        room.broker.pause("price")
        room.client.config_set("maxmemory", 1)
        try:
            room.broker.resume("mail")
        finally:
            room.client.config_set("maxmemory", 0)
        assert list(room.broker.paused()) == ["task:price"]

    def test_what_ends_while_it_is_set_aside_leaves_nothing(self, room: Room) -> None:
        room.fill({"tasks": {"a": of("mail"), "b": of("mail")}, "ready": {"a": 1, "b": 2}})
        room.fill({"attempts": {"b": "0 0 - 5 -"}, "expiring": {"b": 5}})
        room.broker.pause("mail")
        fetched(worker(room))
        assert room.broker.revoke("a", b"gone", 1000, "paused:mail") == "revoked"
        assert room.broker.expire_all() == ["b"]
        assert (room["needs"], room["tasks"], room["attempts"]) == (None, None, None)


class TestInHand:
    """Whether a task of the name may still be started, of what workers hold."""

    @pytest.mark.parametrize(
        ("holds", "may_start"),
        [
            ({}, False),
            ({"a": "1 s 5"}, False),  # alone: it runs
            ({"a": "1 s 5 1", "b": "1 s 6 0"}, True),
            ({"b": "1 s 5 1", "c": "1 s 6 0"}, False),  # of other names
            ({"a": "1 s 5", "b": "1 s 6"}, False),  # a recovery: not to be taken back
            ({"a": "1 a 5 1", "d": "1 a 6 0"}, False),  # async: they start as they come
            ({"a": "1 g 5 1", "b": "1 s 6 0"}, True),
        ],
    )
    def test_it_is_waited_for(self, room: Room, holds: dict[str, str], may_start: bool) -> None:
        room.fill({"tasks": {x: of("mail" if x in "ad" else "price") for x in "abcd"}, "workers": {"v": LATER, "w": LATER}})
        if holds:
            room.fill({"held:w": holds})
        assert room.broker._may_start("task:mail") is may_start

    def test_of_a_key(self, room: Room) -> None:
        gates = {"a": b"c2 k:one\nf k:two", "b": b"", "c": b"c2 t:mail"}
        room.fill({"tasks": {x: of("mail", gates=found) for x, found in gates.items()}, "workers": {"w": LATER}})
        room.fill({"held:w": {"a": "1 g 5 1", "b": "1 s 6 0", "c": "2 g 7 0"}})
        assert [room.broker._may_start(f"k:{key}") for key in ("one", "two", "on", "mail", "three")] == [
            True,
            True,
            False,
            False,
            False,
        ]

    def test_not_for_ever(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pausing, "IN_HAND", 0.1)
        room.fill({"tasks": {x: of("mail") for x in "ab"}, "workers": {"w": LATER}, "held:w": {"a": "1 s 5 1", "b": "1 s 6 0"}})
        room.broker.pause("mail")
        assert "task:mail" in room.broker.paused()


def test_where_nothing_is_paused_a_step_asks_no_more_than_before(room: Room) -> None:
    """The flag is one of the keys of a question that is asked anyway."""
    room.fill({"tasks": {"a": of("mail")}, "ready": {"a": 1}})
    session = worker(room)
    room.client.config_resetstat()
    assert fetched(session, 1) == ["a"]
    counted = {name.removeprefix("cmdstat_"): row["calls"] for name, row in room.client.info("commandstats").items()}
    assert counted.keys() - {"evalsha", "eval", "config|resetstat", "config", "info"} == {
        *("time", "exists", "zscore", "hmget", "zrange", "zremrangebyrank", "hset", "zadd", "zcard")
    }
