"""Ending many tasks at once: those that are meant and were there when it began, wherever they wait; nothing is left of them.

Of this kind: each set in which a task waits, each way to say which are meant, what is sent, due or fails meanwhile; portions of a
bounded size; keys of the wrong type. Users' view: tests/tasks/client/test_revoking.py.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from hotqueue import ConfigError
from hotqueue.tasks.broker.revoking_many import STATES, Sought
from hotqueue.tasks.wire import envelope
from tests.tasks.contents import Room, place

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def of(name: str = "mail", headers: dict[str, Any] | None = None, *, created: int = 0, gates: bytes = b"") -> bytes:
    """Return an envelope."""
    call, flags = envelope.call_header("7", None if headers is None else {"headers": headers}, gates)
    return envelope.Form(envelope.task_header(name, "q", {}), envelope.SYNC, 0, flags).encode(b"x", created, call, b"p")


@pytest.fixture
def everywhere(room: Room) -> Room:
    """A queue in which a task waits in each way there is, and two are in a worker's hand."""
    ids = ("ready", "async", "suspect", "due", "again", "parked", "aside", "running", "next", "lane")
    room.fill({"tasks": {x: of() for x in ids}, "seq": "50", "ready": {"ready": place(1)}, "ready:async": {"async": place(2)}})
    room.fill({"suspects": {"suspect": place(3)}, "scheduled": {"due": LATER, "again": LATER}})
    room.fill({"needs": ["task:mail", "paused:mail"], "parked:task:mail": {"parked": 4}, "parked:paused:mail": {"aside": 5}})
    room.fill({"attempts": {"again": "2 0 - - -", "parked": "0 0 task:mail 77 -", "aside": "0 0 paused:mail - -"}})
    room.fill({"expiring": {"parked": LATER}, "large": ["ready"], "waiters": {"due": room.prefix + "reply:c"}})
    room.fill({"tasks": {"lane": of(gates=b"c1 k:k")}, "gated": {"lane": "sc1 k:k"}, "blocked": ["lane"], "lanes": ["k:k"]})
    room.client.zadd(room.prefix + "lane:k:k", {"lane": 6})
    room.fill({"slots:k:k": ["running"]})
    return room.fill({"workers": {"w": LATER}, "held:w": {"running": "1 s 7 1", "next": "1 s 8 0"}})


def left(room: Room) -> set[str]:
    return set(room["tasks"] or {})


@pytest.mark.parametrize(
    ("states", "gone"),
    [
        (["waiting"], {"ready", "async", "suspect", "aside", "lane"}),
        (["scheduled"], {"due"}),
        (["retrying"], {"again"}),
        (["parked"], {"parked"}),
        (["scheduled", "retrying"], {"due", "again"}),
        (STATES, {"ready", "async", "suspect", "aside", "lane", "due", "again", "parked"}),
    ],
)
def test_those_that_wait_in_a_way_and_no_others(everywhere: Room, states: list[str], gone: set[str]) -> None:
    before = left(everywhere)
    assert everywhere.broker.revoke_some(Sought(states=states)) == len(gone)
    assert before - left(everywhere) == gone
    for task_id in before:
        record = everywhere["result:" + task_id]
        assert (record or "").startswith("R") == (task_id in gone)
        assert everywhere.queue.result(task_id).state == (
            "REVOKED" if task_id in gone else everywhere.queue.result(task_id).state
        )


def test_nothing_is_left_of_them(everywhere: Room) -> None:
    assert everywhere.broker.revoke_some(Sought()) == 8
    assert (everywhere["reply:c"][0][:5], 3_500_000 < everywhere.ttl("result:due") <= 3_600_000) == ("Rdue\0", True)
    rest = {key: value for key, value in everywhere.contents().items() if not key.startswith(("result:", "reply:"))}
    assert rest.pop("stats") == {"revoked": 8}
    assert {key: len(value) for key, value in rest.items()} == {
        "tasks": 2,
        "held:w": 2,
        "workers": 1,
        "seq": 2,
        "slots:k:k": 1,
        "lanes": 1,  # of the one that runs
    }


def test_what_is_in_hand_is_marked_when_that_is_wanted(everywhere: Room) -> None:
    assert everywhere.broker.revoke_some(Sought(), is_to_mark=True) == 8
    assert everywhere["revoked"] == {"running", "next"}


class TestWhichAreMeant:
    def test_by_name(self, room: Room) -> None:
        room.fill(
            {
                "tasks": {"a": of("mail"), "b": of("mailer"), "c": b"junk", "d": of("mail")[:25]},
                "ready": dict.fromkeys("abcd", 1),
                "seq": "1",
            }
        )
        assert room.broker.revoke_some(Sought("mail")) == 1
        assert left(room) == {"b", "c", "d"}

    def test_junk_goes_with_all(self, room: Room) -> None:
        room.fill({"tasks": {"a": b"junk", "b": b""}, "ready": {"a": 1, "b": 2}, "seq": "2"})
        assert room.broker.revoke_some(Sought()) == 2

    @pytest.mark.parametrize(
        ("wanted", "gone"),
        [
            ({"tenant": 7}, "ab"),
            ({"tenant": "7"}, "c"),
            ({"tenant": 7, "vip": True}, "b"),
            ({"note": None}, "a"),
            ({"big": 12345678901234567890}, "d"),
            ({"text": 'say "x": é}'}, "e"),
            ({"inner": 1}, ""),
            ({"tenant": 70}, ""),
        ],
    )
    def test_by_headers(self, room: Room, wanted: dict[str, Any], gone: str) -> None:
        all_headers: dict[str, dict[str, Any] | None] = {
            "a": {"tenant": 7, "note": None},
            "b": {"vip": True, "tenant": 7},
            "c": {"tenant": "7"},
            "d": {"big": 12345678901234567890},
            "D": {"big": 12345678901234567891},
            "e": {"text": 'say "x": é}', "in": {"inner": 1}},
            "f": None,
        }
        room.fill(
            {
                "tasks": {x: of(headers=found) for x, found in all_headers.items()},
                "ready": dict.fromkeys(all_headers, 1),
                "seq": "1",
            }
        )
        members = tuple(json.dumps({name: value}, separators=(",", ":")) for name, value in wanted.items())
        assert room.broker.revoke_some(Sought(headers=members)) == len(gone)
        assert set(all_headers) - left(room) == set(gone)

    def test_by_headers_behind_gates(self, room: Room) -> None:
        gated = of(headers={"tenant": 7}, gates=b'c1 k:{"args":')
        room.fill({"tasks": {"a": gated}, "scheduled": {"a": LATER}})
        assert room.broker.revoke_some(Sought(headers=('{"tenant":7}',))) == 1

    def test_by_schedule(self, room: Room) -> None:
        ids = ["periodic:a:2026-11-29T10:00:00Z", "periodic:a:2026-11-29T10:00:00.250Z", "periodic:a:b:2026-11-29T10:00:00Z", "a"]
        room.fill({"tasks": {x: of() for x in ids}, "ready": dict.fromkeys(ids, 1), "seq": "1"})
        assert room.broker.revoke_some(Sought(schedule="a")) == 2
        assert left(room) == set(ids[2:])


class TestWhatWasThere:
    """`seq` stands at 50 when it begins; `BEGAN` stands for that moment."""

    def test_what_was_sent_later_has_a_higher_number(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        room.fill({"tasks": {"old": of(), "new": of(created=LATER)}, "ready": {"old": place(50), "new": place(51)}, "seq": "50"})
        assert room.broker.revoke_some(Sought()) == 1
        assert left(room) == {"new"}

    def test_one_without_a_number_goes_by_when_it_was_sent(self, room: Room) -> None:
        now = int(time.time() * 1000)
        room.fill({"tasks": {"old": of(created=now), "new": of(created=LATER)}, "scheduled": {"old": LATER, "new": LATER}})
        assert room.broker.revoke_some(Sought()) == 1
        assert left(room) == {"new"}

    def test_what_was_due_or_failed_meanwhile_was_there(self, room: Room) -> None:
        names = {"due": of(headers={}), "again": of(), "new": of(), "late": of(headers={}, created=LATER)}
        room.fill({"tasks": names, "ready": {x: place(99) for x in names}, "attempts": {"again": "1 0 - - -"}, "seq": "50"})
        assert room.broker.revoke_some(Sought()) == 2
        assert left(room) == {"new", "late"}


def test_however_many_a_call_does_a_portion(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.fill({"tasks": {str(n): of() for n in range(2000)}, "ready": {str(n): place(n) for n in range(2000)}, "seq": "2000"})
    counts = []
    run = room.broker.store.run
    monkeypatch.setattr(room.broker.store, "run", lambda *a, **k: counts.append(run(*a, **k)) or counts[-1])
    assert room.broker.revoke_some(Sought()) == 2000
    assert len(counts) > 6
    assert max(count for _, count, _ in counts) < 400
    assert (room["tasks"], room["ready"]) == (None, None)


def test_large_ones_are_few_at_a_time(room: Room) -> None:
    big = of() + b"x" * 1_000_000
    room.fill({"tasks": {str(n): big for n in range(12)}, "ready": {str(n): place(n) for n in range(12)}, "seq": "20"})
    room.fill({"large": [str(n) for n in range(12)]})
    assert room.broker.revoke_some(Sought()) == 12


@pytest.mark.parametrize("wrong", ["ready", "scheduled", "attempts", "waiters", "revoked"])
def test_a_key_of_the_wrong_type_stops_it_before_anything_has_changed(everywhere: Room, wrong: str) -> None:
    everywhere.client.delete(everywhere.prefix + wrong)
    everywhere.client.rpush(everywhere.prefix + wrong, "x")
    before = everywhere.contents()
    with pytest.raises(ConfigError, match=wrong):
        everywhere.broker.revoke_some(Sought())
    assert everywhere.contents() == before
