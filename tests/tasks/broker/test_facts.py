"""The facts of one task: where it is, who is there, what is paused; read in one look, changing nothing, whatever is in the keys.

What they mean: tests/tasks/test_why.py.
"""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker.session import MORE, NAMES, Session
from tests.tasks.contents import Room, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def test_where_it_is_and_how_many_are_there(room: Room) -> None:
    room.fill({"tasks": {"a": sync(), "b": sync()}, "ready": {"a": place(1), "b": place(2)}, "paused": "1 7\ntask:mail 8"})
    facts = room.broker.facts("b")
    assert (facts.where, facts.detail, facts.of, facts.paused, facts.worker_count) == ("ready", 1, 2, {"1": 7, "task:mail": 8}, 0)


def test_who_has_it_in_hand(room: Room) -> None:
    room.fill(
        {
            "tasks": {"a": sync(), "b": sync()},
            "workers": {"v": -LATER, "w": LATER},
            "worker:w": {"fetch": "4", "lease": "5000 3 99"},
        }
    )
    room.fill({"held:w": {"a": "3 s 5 1", "b": "3 s 6 0"}})
    facts = room.broker.facts("b", "w", "a")
    assert (facts.where, facts.holder, facts.fetch, facts.may_wait) == ("held", "w", 3, True)
    assert [(each.id, each.until, each.held, each.fetch, each.at) for each in facts.workers] == [
        ("v", LATER, 0, 0, 0),
        ("w", LATER, 2, 3, 99),
    ]


def test_of_very_many_workers_some_are_told_of_and_whoever_has_it(room: Room) -> None:
    room.fill({"tasks": {"a": sync()}, "workers": {f"w{n:04}": n for n in range(300)}, "held:w0299": {"a": "1 s 5"}})
    facts = room.broker.facts("a")
    assert (facts.worker_count, len(facts.workers), facts.holder, facts.workers[-1].id) == (300, 201, "w0299", "w0299")


def test_a_large_payload_stays_where_it_is(room: Room) -> None:
    room.fill({"tasks": {"a": sync() + "x" * 20}, "ready": {"a": 1}, "result:r": "x" * 1000})
    assert (len(room.broker.facts("a").envelope), len(room.broker.facts("r").record)) == (24, 64)


@pytest.mark.parametrize("wrong", ["paused", "stats"])
def test_a_key_of_the_wrong_type_that_others_do_without(room: Room, wrong: str) -> None:
    room.fill({"tasks": {"a": sync()}, "ready": {"a": 1}})
    room.client.sadd(room.prefix + wrong, "x")
    before = room.contents()
    assert room.broker.facts("a").paused == ({"1": 0} if wrong == "paused" else {})
    assert room.contents() == before


def test_a_worker_announces_the_names_that_it_knows(room: Room) -> None:
    Session(room.broker, "w", "s", ["b", "a"]).register(5000, {})
    many = [f"shop.task_{n:04}" for n in range(300)]
    Session(room.broker, "x", "s", many).register(5000, {})
    room.fill({"tasks": {"t": sync()}, "ready": {"t": 1}})
    known = {each.id: each.tasks for each in room.broker.facts("t").workers}
    assert known["w"] == ["a", "b"]
    assert known["x"] is not None
    assert (known["x"][0], known["x"][-1]) == (many[0], MORE)
    assert len(room["worker:x"]["tasks"].encode().decode("unicode_escape")) <= NAMES + 4
