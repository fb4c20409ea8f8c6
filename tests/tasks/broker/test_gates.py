"""Gates as people see them, and keys that are paused: nothing with such a key starts until it goes on.

Of this kind: each gate that has the key; what waits, is ready, or comes meanwhile; what is revoked there. At which gate a task
waits: also test_rates.py and test_turns.py.
"""

from __future__ import annotations

import pytest

from hotqueue import ConfigError
from tests.tasks.broker.test_lanes import assert_nothing_is_left, worker
from tests.tasks.broker.test_rates import send
from tests.tasks.broker.test_turns import run_in_order
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def test_at_no_gate_waits_what_is_ready_or_unknown(room: Room) -> None:
    send(room, "a", gates="c1 k:x")
    assert room.broker.at_gate("a") is None
    assert room.broker.at_gate("unknown") is None


def test_at_a_gate_of_what_runs_at_a_time_the_holders_are_told(room: Room) -> None:
    send(room, *"abc", gates="c2 t:shop.mail")
    found = room.broker.at_gate("c")
    assert found is not None
    assert (found.what, found.key, found.limit, found.used, found.ahead, set(found.holders)) == (
        "c",
        "t:shop.mail",
        2,
        2,
        0,
        {"a", "b"},
    )


def test_before_its_turn_the_keys_before_it_are_counted(room: Room) -> None:
    send(room, "a0", "a1", gates="f k:a")
    send(room, "b0", gates="f k:b")
    send(room, "c0", "c1", gates="f k:c")
    found = room.broker.at_gate("c1")
    assert found is not None
    assert (found.what, found.key, found.ahead, found.lanes_ahead) == ("f", "k:c", 1, 2)
    with pytest.raises(TimeoutError, match="key 'c' waits for its turn, behind 2 other keys; 1 task is ahead of it there"):
        room.queue.result("c1").get(timeout=0.05)


@pytest.mark.parametrize("lines", ["c2 k:x", "r2/60000 k:x", "f k:x", "c9 t:t\nr9/1000 k:other\nf k:x"])
def test_of_a_key_that_is_paused_nothing_starts_until_it_goes_on(room: Room, lines: str) -> None:
    send(room, *"abc", gates=lines)
    send(room, "other", gates=lines.replace("x", "y"))
    assert room.broker.pause_key("x") is True
    assert room.broker.pause_key("x") is False
    assert list(room.broker.paused_keys()) == ["x"]
    send(room, "late", gates=lines)
    session = worker(room)
    ran = [*run_in_order(room, session), *run_in_order(room, session)]
    assert ran == ["other"]
    found = room.broker.at_gate("late")
    assert found is not None
    assert (found.what, found.key) == ("p", "k:x")
    with pytest.raises(TimeoutError, match=r"key 'x' is paused at queue .*; 3 tasks are ahead of it there"):
        room.queue.result("late").get(timeout=0.05)
    assert room.broker.resume_key("x") is True
    assert room.broker.resume_key("x") is False
    room.client.delete(*room.client.scan_iter(match=f"*{room.queue.name}*starts:*"), room.prefix + "none")
    ran = run_in_order(room, session)
    assert ran == ["a", "b", "c", "late"][: len(ran)]
    assert len(ran) >= 2
    room.client.delete(*room.client.scan_iter(match=f"*{room.queue.name}*starts:*"), room.prefix + "none")
    room.broker.mend_lanes()
    ran += run_in_order(room, session)
    assert ran == ["a", "b", "c", "late"]
    assert_nothing_is_left(room)


def test_what_waits_at_a_paused_key_can_be_revoked_and_leaves_nothing(room: Room) -> None:
    room.broker.pause_key("x")
    send(room, *"ab", gates="c2 k:x\nf k:x")
    for task_id in "ab":
        assert room.broker.revoke(task_id, b"record", 1000) == "revoked"
    assert_nothing_is_left(room)
    room.broker.resume_key("x")
    assert room["paused:keys"] is None


def test_a_pause_that_cannot_be_noted_is_refused(room: Room) -> None:
    room.client.set(room.prefix + "paused:keys", "not ours")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        room.broker.pause_key("x")
