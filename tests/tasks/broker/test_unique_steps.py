"""Unique keys of steps of workflows, in the scripts: whom a step waits behind that a worker has in hand, and what is left of it.

What users see of it: tests/tasks/test_unique_steps.py.
"""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.broker.test_lanes import worker
from tests.tasks.broker.test_unique import assert_nothing_is_left, is_free, only, state
from tests.tasks.broker.test_unique import send as send_alone
from tests.tasks.broker.test_workflows import fetched, send, settled, step
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def keyed(room: Room, name: str, how: str, *needs: str) -> Step:
    return Step(name, room.queue.name, only(name, how=how), needs=list(needs))


def in_hand(room: Room, how: str) -> tuple[Session, Session, list[str]]:
    """Have a worker run a task that has the key, and a step of that key begin; return another worker, that one, and what came."""
    send_alone(room, "first")
    first = worker(room, "other")
    assert fetched(first) == ["first"]
    send(room, step(room, "a"), keyed(room, "b", how, "a"), step(room, "c", "b"))
    here = worker(room)
    assert fetched(here) == ["a"]
    return here, first, settled(here, "a")


def end(session: Session, name: str, code: str = "X") -> None:
    """Settle a task, and fetch nothing."""
    session.step(0, [Settlement(name, "*", code, b"\1S end" if code != "X" else b"", 60_000, "")])


def test_one_that_replaces_waits_for_who_runs_and_the_third_takes_its_place(room: Room) -> None:
    here, first, given = in_hand(room, "pe")
    assert given == []
    assert room.broker.look("b").where == "parked"
    send(room, step(room, "d"), keyed(room, "e", "pe", "d"))
    assert fetched(here) == ["d"]
    assert settled(here, "d") == []
    assert (state(room, "b"), state(room, "c")) == ("REVOKED", "REVOKED")
    end(first, "first")
    assert fetched(here) == ["e"]
    end(here, "e")
    assert_nothing_is_left(room)


@pytest.mark.parametrize("code", ["S", "D", "X"])
def test_one_that_joins_begins_when_who_runs_has_ended(room: Room, code: str) -> None:
    here, first, given = in_hand(room, "ie")
    assert given == []
    end(first, "first", code)
    assert fetched(here) == ["b"]
    assert settled(here, "b") == ["c"]
    end(here, "c")
    room.queue.discard_dead(all=True)
    assert_nothing_is_left(room)
    assert room["owned"] is None


@pytest.mark.parametrize("how", ["ie", "pe"])
def test_one_that_waits_is_revoked_as_any(room: Room, how: str) -> None:
    _, first, _ = in_hand(room, how)
    assert room.broker.revoke("b", b"R1 0", 1000, "unique" if how == "pe" else "-") == "revoked"
    assert state(room, "c") == "REVOKED"
    end(first, "first")
    assert_nothing_is_left(room)
    assert (room["owned"], room["steps"]) == (None, None)


def test_one_too_many_is_given_to_a_worker_with_who_has_the_key(room: Room) -> None:
    here, _, given = in_hand(room, "re")
    assert given == ["b"]
    assert (room.broker.look("b").history.verdict, room.broker.look("b").history.holder) == ("D", "first")
    end(here, "b", "D")
    assert not is_free(room)


def test_a_row_of_the_wrong_type_keeps_nobody_out(room: Room) -> None:
    send(room, step(room, "a"), keyed(room, "b", "re", "a"))
    here = worker(room)
    assert fetched(here) == ["a"]
    room.client.set(f"{room.prefix}unique", "junk")
    assert settled(here, "a") == ["b"]
