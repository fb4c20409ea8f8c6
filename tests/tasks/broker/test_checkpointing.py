"""Who may keep what for a task's next run, and when that goes: every key, before and after."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hotqueue import keys
from hotqueue.errors import ConfigError
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from tests.tasks.contents import Room, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999
DATA = b"1 0\nstate"
MARK = "0 0 - - - 0 0 0 c"


def session_of(room: Room, **more: Any) -> Session:
    """Return the session of a worker that holds tasks "t" and "u"."""
    held = {"held:w": {"t": f"1 s {place(7)}", "u": f"1 s {place(8)}"}}
    room.fill({"tasks": {"t": sync("T"), "u": sync("U")}, **held, **more})
    room.fill({"workers": {"w": LATER}, "worker:w": {"fetch": 1}})
    session = Session(room.broker, "w", "s")
    session.number = 1
    return session


def delivery(task_id: str = "t", held_as: int | str = 1) -> Delivery:
    return Delivery(task_id, 1, "s", b"", b"", held_as)


def test_a_worker_keeps_it_for_what_it_holds_and_the_task_is_marked(room: Room) -> None:
    session = session_of(room)
    before = room.contents()
    assert session.checkpoint(delivery("u"), DATA, ...)
    assert asyncio.run(session.acheckpoint(delivery("u"), DATA + b"2"))
    assert room.contents() == {**before, "attempts": {"u": MARK}, "checkpoints": {"u": (DATA + b"2").decode()}}
    assert room.ttl("checkpoints") > 80 * 86400
    assert (room.broker.checkpoint("u"), room.broker.checkpoint("t")) == (DATA + b"2", None)
    assert asyncio.run(room.broker.acheckpoint("u")) == DATA + b"2"


def test_what_has_happened_to_the_task_stays_known(room: Room) -> None:
    session = session_of(room, attempts={"t": '2 1 - 5 - 0 0 1 new\n{"error":"x"}'})
    assert session.checkpoint(delivery(), DATA, ...)
    assert session.checkpoint(delivery(), DATA, ...)
    assert room["attempts"] == {"t": '2 1 - 5 - 0 0 1 new c\n{"error":"x"}'}


def test_of_one_that_came_further_the_deaths_before_count_no_more(room: Room) -> None:
    session = session_of(room, attempts={"t": '2 3 - 5 - 0 0 1 new f1 c\n{"error":"x"}'})
    assert session.checkpoint(delivery(), DATA, ...)
    assert room["attempts"]["t"].startswith("2 3 - 5 - 0 0 1 new f1 c")
    assert session.checkpoint(delivery(), DATA, ..., True)
    assert asyncio.run(session.acheckpoint(delivery("u"), DATA, True))
    assert room["attempts"] == {"t": '2 3 - 5 - 0 0 1 new c f3\n{"error":"x"}', "u": MARK}


@pytest.mark.parametrize(
    "harm",
    [
        lambda room: room.broker.store.command(keys.held(room.queue.name, "w"), "DEL", keys.held(room.queue.name, "w")),
        lambda room: room.broker.store.command(keys.workers(room.queue.name), "ZREM", keys.workers(room.queue.name), "w"),
        lambda room: Session(room.broker, "w", "s").settle([Settlement("t", 1, "S", b"record", 1000, "")]),
    ],
)
def test_of_what_is_not_this_workers_nothing_is_kept(room: Room, harm: Any) -> None:
    session = session_of(room)
    harm(room)
    assert not session.checkpoint(delivery(), DATA, ...)
    assert not session.checkpoint(delivery("v"), DATA, ...)
    assert not session.checkpoint(delivery(held_as="1:1"), DATA, ...)
    assert "checkpoints" not in room.contents()


def test_one_that_has_left_its_record_is_a_gap_there(room: Room) -> None:
    session = session_of(room)
    session.settle([Settlement("u", 1, "S", b"record", 1000, "")])
    assert not session.checkpoint(delivery("u"), DATA, ...)
    assert session.checkpoint(delivery("t"), DATA, ...)


@pytest.mark.parametrize(("code", "stays"), [("S", False), ("X", False), ("E", False), ("D", True), ("R", True), ("P", True)])
def test_it_goes_with_the_task_unless_that_may_run_again(room: Room, code: str, stays: bool) -> None:
    session = session_of(room)
    for each in ("t", "u"):
        session.checkpoint(delivery(each), DATA, ...)
    extra = {"R": MARK, "D": "{}"}.get(code, "")
    session.settle([Settlement("t", 1, code, b"" if code in "XRP" else b"record", 1000, extra)])
    assert ("t" in room["checkpoints"], "u" in room["checkpoints"]) == (stays, True)


def test_of_the_dead_it_counts_among_what_they_take_and_goes_with_them(room: Room) -> None:
    session = session_of(room)
    session.checkpoint(delivery(), DATA, ...)
    session.settle([Settlement("t", 1, "D", b"record", 1000, "{}")])
    assert int(room["dead:bytes"]) == len("{}\n" + sync("T")) + len(DATA)
    room.broker.revive(["t"])
    assert room["attempts"]["t"].startswith(f"{MARK} d")
    assert room["checkpoints"] == {"t": DATA.decode()}
    assert "dead:bytes" not in room.contents()
    (again,) = session.step(1).deliveries
    session.settle([Settlement("t", again.number, "D", b"record", 1000, "{}")])
    room.broker.discard(["t"])
    assert "checkpoints" not in room.contents()


def test_a_key_of_the_wrong_type_costs_nobody_else(room: Room) -> None:
    session = session_of(room, checkpoints=["a list"])
    with pytest.raises(ConfigError, match="holds a list"):
        session.checkpoint(delivery(), DATA, ...)
    assert (
        session.settle([Settlement("t", 1, "D", b"record", 1000, "{}"), Settlement("u", 1, "S", b"record", 1000, "")]).gone == []
    )
    assert "tasks" not in room.contents()
    room.broker.revive(["t"])
    assert "t" in room["tasks"]
