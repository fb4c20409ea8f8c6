"""Listing: each unfinished task is listed once, where it stands, whatever it waits for; in pages; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotqueue.sizes import READ_BYTES
from hotqueue.tasks.broker import listing
from hotqueue.tasks.broker.listing import Standing
from tests.tasks.contents import Room, coro, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999


def shown(pages: Iterator[list[Standing]]) -> list[tuple[str, str]]:
    return [(each.id, each.how) for page in pages for each in page]


def test_each_is_listed_where_it_stands(room: Room) -> None:
    room.fill({"tasks": {x: sync(x) for x in "abdefghijkl"} | {"c": coro()}})
    room.fill({"ready": {"b": place(2), "a": place(1)}, "ready:async": {"c": place(1)}, "suspects": {"d": place(9)}})
    room.fill({"blocked": ["e"], "needs": ["paused:t", "task:x"], "parked:paused:t": {"f": 1}, "parked:task:x": {"g": 1}})
    room.fill({"parked:unique": {"h": 1}, "steps": {"i": "1"}, "scheduled": {"k": 20, "j": 10, "\n": 5}})
    room.fill({"workers": {"v": -LATER, "w": LATER}, "held:w": {"l": "3 s 5"}, "attempts": {"k": "2 0 - - -"}})
    before = room.contents()
    waiting = [("a", "ready"), ("b", "ready"), ("c", "ready"), ("d", "suspect"), ("e", "gate"), ("h", "unique")]
    assert shown(room.broker.waiting()) == [*waiting, ("f", "paused:t"), ("i", "step")]
    assert shown(room.broker.scheduled_tasks()) == [("j", "scheduled"), ("k", "scheduled")]
    assert shown(room.broker.parked_tasks()) == [("g", "task:x")]
    ((held,),) = room.broker.in_hand()
    assert (held.id, held.how, held.worker) == ("l", "in hand", "w")
    (page,) = room.broker.scheduled_tasks()
    assert [(each.past.retries, each.score) for each in page] == [(0, 10), (2, 20)]
    assert room.contents() == before


def test_many_at_one_score_come_once_each(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 7)
    ids = [f"t{n:03}" for n in range(100)]
    room.fill({"tasks": dict.fromkeys(ids, sync()), "scheduled": {each: 5 + (n > 30) + (n > 90) for n, each in enumerate(ids)}})
    assert [each for each, _ in shown(room.broker.scheduled_tasks())] == ids


def test_those_that_start_meanwhile_hide_none_of_the_others(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 10)
    ids = [f"t{n:03}" for n in range(100)]
    room.fill({"tasks": dict.fromkeys(ids, sync()), "ready": {each: place(n) for n, each in enumerate(ids)}})
    pages = room.broker.waiting()
    seen = [each.id for each in next(pages)]
    room.client.zrem(room.prefix + "ready", *ids[:50])
    seen += [each.id for page in pages for each in page]
    assert seen == [*ids[:20], *ids[50:]]


def test_large_ones_are_read_some_at_a_time_and_without_their_payloads(room: Room) -> None:
    size = READ_BYTES // 3
    room.fill({"tasks": {f"t{n}": sync() + "\0" * 30 + "x" * size for n in range(8)}, "ready": {f"t{n}": n for n in range(8)}})
    pages = list(room.broker.waiting())
    assert [len(page) for page in pages] == [2, 2, 2, 2]
    assert max(len(each.envelope) for page in pages for each in page) < 100
