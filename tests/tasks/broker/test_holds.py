"""What a worker holds, a record a batch: whichever tasks go, in whatever order, the others stay what they were.

Of this kind: a record that is settled from the front, in the middle or at the end, in several trips; one that is put back from
its end, late or twice; one that a script failed over; one of another version. And every script, since each lets go of holds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import hotqueue
from hotqueue.errors import ConfigError, HotQueueError
from hotqueue.tasks.broker import holds
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import CHUNK, Delivery, Settlement
from tests.tasks.contents import Room, place, sync

only_server = pytest.mark.servers("server")
LUA = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"
MANY = 2 * CHUNK + 50


def fetched(room: Room, count: int) -> tuple[Session, list[Delivery]]:
    """Return a worker's session, and what it has fetched: tasks "t0", "t1" and so on."""
    names = [f"t{n}" for n in range(count)]
    room.fill({"tasks": {name: sync(name) for name in names}, "ready": {name: place(n) for n, name in enumerate(names)}})
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    return session, session.step(count).deliveries


def ended(delivery: Delivery, code: str = "S") -> Settlement:
    return Settlement(delivery.id, delivery.held_as or delivery.number, code, b"record" if code == "S" else b"", 60_000, "")


def records(room: Room) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = room.client.hgetall(room.prefix + "held:w")
    return found


def test_ids_are_read_from_records_of_every_form() -> None:
    old = (b"a", b"1 s 7 0")
    new = (b"2", b"10020000" + b"s" + b"0" * 16 + b"-" + b"0" * 16 + b"\nb\n\n")
    assert holds.ids_in([old, new]) == ["a", "b"]


@only_server
def test_a_large_fetch_is_held_in_chunks_and_settled_from_the_front(room: Room) -> None:
    session, deliveries = fetched(room, MANY)
    assert [delivery.id for delivery in deliveries] == [f"t{n}" for n in range(MANY)]
    assert sorted(records(room)) == [b"1", b"1:1", b"1:2"]
    for start in range(0, MANY, 30):
        stepped = session.settle([ended(delivery) for delivery in deliveries[start : start + 30]])
        assert stepped.gone == []
        assert sum(map(len, [room["held:w"] or {}])) == max(0, MANY - start - 30)
    assert room["held:w"] is None
    assert room["tasks"] is None
    assert room["result:t0"] == room[f"result:t{MANY - 1}"] == "record"


@only_server
@pytest.mark.parametrize("order", ["backwards", "from the middle", "every second first"])
def test_in_whatever_order_they_are_settled_each_is_once(room: Room, order: str) -> None:
    session, deliveries = fetched(room, 9)
    orders = {"backwards": deliveries[::-1], "from the middle": deliveries[4:] + deliveries[:4]}
    line = orders.get(order, deliveries[::2] + deliveries[1::2])
    for n, delivery in enumerate(line, 1):
        assert session.settle([ended(delivery)]).gone == []
        assert set(room["held:w"] or ()) == {each.id for each in line[n:]}
        assert session.settle([ended(delivery)]).gone == [delivery.id]
    assert room["held:w"] is None


@only_server
def test_several_codes_in_one_trip_are_carried_out_in_their_order(room: Room) -> None:
    session, (a, b, c, d, e) = fetched(room, 5)
    actions = [
        ended(a),
        ended(b, "X"),
        Settlement(c.id, c.number, "R", b"", 60_000, "1 0 - - -"),
        ended(d),
        Settlement("stranger", 1, "S", b"x", 60_000, ""),
    ]
    assert session.settle(actions).gone == ["stranger"]
    assert (set(room["held:w"]), set(room["scheduled"]), room["attempts"]) == ({e.id}, {c.id}, {c.id: "1 0 - - -"})
    assert (room["result:t0"], room["result:t1"], room["result:t3"]) == ("record", None, "record")


@only_server
def test_what_was_put_back_late_or_twice_takes_nothing_that_has_started(room: Room) -> None:
    """The worker itself puts back what its supervisor takes back: whoever comes second finds gaps, and not those before them."""
    session, deliveries = fetched(room, MANY)
    session.settle([ended(delivery) for delivery in deliveries[: CHUNK + 10]])
    session.settle([ended(delivery, "P") for delivery in deliveries[-3:]])
    assert room.broker.take_back("w", 1, 3) == 0
    assert room.broker.take_back("w", 1, 60) == 57
    assert room.broker.take_back("w", 1, 60) == 0
    left = {delivery.id for delivery in deliveries[CHUNK + 10 : -60]}
    assert set(room["held:w"]) == left
    assert set(room["ready"]) == {delivery.id for delivery in deliveries[-60:]}
    assert room["ready"] == {delivery.id: place(MANY - 60 + n) for n, delivery in enumerate(deliveries[-60:])}


@only_server
def test_one_whose_outcome_comes_apart_is_no_part_of_its_fetch_any_more(room: Room) -> None:
    session, (a, b, c) = fetched(room, 3)
    session.settle([ended(b, "L")])
    assert room.broker.take_back("w", 1, 3) == 2
    assert room["held:w"] == {"t1": f"L s {place(1)}"}
    found = session.recover([b.id])
    assert found == []
    assert session.settle([ended(b)._replace(number="*")]).gone == []
    assert (room["held:w"], room["result:t1"], set(room["ready"])) == (None, "record", {a.id, c.id})


@only_server
def test_one_that_was_handed_over_again_meanwhile_is_settled_all_the_same(room: Room) -> None:
    session, (_, b, _) = fetched(room, 3)
    assert session.recover([]) is not None
    assert session.settle([ended(b)]).gone == [b.id]  # under the old number
    assert session.settle([ended(b)._replace(number="*")]).gone == []
    assert set(room["held:w"]) == {"t0", "t2"}


@only_server
def test_what_a_script_failed_over_is_held_as_before_and_settled_the_next_time(room: Room) -> None:
    session, deliveries = fetched(room, 5)
    room.client.set(room.prefix + "scheduled", "no sorted set")
    again = [Settlement(each.id, each.number, "R", b"", 60_000, "1 0 - - -") for each in deliveries[1:4]]
    with pytest.raises(ConfigError):
        session.settle([ended(deliveries[0]), *again])
    assert set(room["held:w"]) == {"t1", "t2", "t3", "t4"}
    assert room["result:t0"] == "record"
    assert room.broker.take_back("w", 1, 1) == 1
    room.client.delete(room.prefix + "scheduled")
    assert session.settle(again).gone == []
    assert (room["held:w"], set(room["scheduled"])) == (None, {"t1", "t2", "t3"})


@only_server
def test_what_a_worker_of_before_held_goes_back(room: Room) -> None:
    room.client.hset(room.prefix + "held:w", mapping={"a": f"3 s {place(5)} 0", "b": f"3 a {place(6)}", "c": "3 x 7r"})
    room.fill({"tasks": {"a": sync(), "b": sync(), "c": sync()}, "workers": {"w": 5}})
    room.broker.reap("w", known_dead=True)
    assert (room["ready"], room["ready:async"], room["suspects"]) == ({"a": place(5)}, {"b": place(6)}, {"c": 7})
    assert room["held:w"] is None


@only_server
def test_junk_is_dropped_and_keeps_nobody_from_what_is_held_beside_it(room: Room) -> None:
    session, deliveries = fetched(room, 2)
    room.client.hset(room.prefix + "held:w", mapping={"x": "junk", "y": "1999", "z": ""})
    assert session.settle([ended(deliveries[0])]).gone == []
    room.broker.reap("w", known_dead=True)
    assert (room["held:w"], set(room["ready"])) == (None, {"t1"})


@only_server
def test_of_a_newer_form_nothing_is_touched(room: Room) -> None:
    session, deliveries = fetched(room, 2)
    [(field, value)] = records(room).items()
    room.client.hset(room.prefix + "held:w", field, b"2" + value[1:])
    before = room.contents()
    attempts: list[Any] = [
        lambda: session.settle([ended(deliveries[0])]),
        lambda: session.recover([]),
        lambda: room.broker.take_back("w", 1, 2),
        lambda: room.broker.reap("w", known_dead=True),
        lambda: Audit(room.broker).portion(),
    ]
    for attempt in attempts:
        with pytest.raises(HotQueueError, match="a newer one has been at work here"):
            attempt()
        assert room.contents()["held:w"] == before["held:w"]
        assert room["ready"] is None


@pytest.mark.parametrize("script", sorted(str(path.relative_to(LUA)) for path in LUA.rglob("*.lua") if path.stem != "holds"))
def test_no_other_script_touches_what_is_held(script: str) -> None:
    text = re.sub(r"--.*", "", (LUA / script).read_text())
    assert not re.search(r"(?i)redis\.p?call\('\w+', (held|holder\(\w+\))\b", text)
