"""A task as it is enqueued goes to the script in the order in which that reads it: see the head of enqueue.lua."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.encoded import Encoded
from tests.tasks.contents import Room, coro, sync


@pytest.mark.servers("server")
def test_each_of_its_parts_arrives_where_it_belongs(make_queue: Callable[..., HotQueue]) -> None:
    room = Room(make_queue())
    in_a_day = 86_400_000
    tasks = [
        Encoded("now", "", "", sync("N").encode()),
        Encoded("late", f"+{in_a_day}", "", coro("L").encode()),
        Encoded("short", "", f"+{in_a_day}", coro("S").encode()),
        Encoded("both", "9999999999000", "9999999999999", sync("B").encode()),
    ]
    assert room.broker.enqueue(tasks) == [True] * 4
    assert room["tasks"] == {"now": sync("N"), "late": coro("L"), "short": coro("S"), "both": sync("B")}
    assert (set(room["ready"]), set(room["ready:async"]), set(room["scheduled"])) == ({"now"}, {"short"}, {"late", "both"})
    assert room["scheduled"]["both"] == 9_999_999_999_000
    assert set(room["expiring"]) == set(room["attempts"]) == {"short", "both"}
    assert room["expiring"]["both"] == 9_999_999_999_999
    assert room.broker.enqueue(tasks) == [False] * 4
    room.wipe()
