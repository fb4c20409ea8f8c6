"""The audit: tasks that stand nowhere are restored, and however much there is, one portion of looking for them is bounded.

Bounds are shown by counting what Redis is asked, not by time: the requests of a portion, the elements of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.sizes import READ_BYTES
from hotqueue.tasks.broker import audit
from hotqueue.tasks.broker.audit import Audit
from tests.tasks.contents import Room, coro, place, sync

pytestmark = pytest.mark.servers("server")


def asked(room: Room, run: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """Return what `run` returns, and how often Redis carried out which command meanwhile, those in scripts included."""
    room.client.config_resetstat()
    found = run()
    stats = room.client.info("commandstats")
    return found, {
        name.removeprefix("cmdstat_"): of["calls"] for name, of in stats.items() if not name.startswith("cmdstat_config")
    }


def given(room: Room, tasks: int, size: int = 3) -> list[str]:
    ids = [f"t{n}" for n in range(tasks)]
    for start in range(0, tasks, 1000):
        room.fill({"tasks": dict.fromkeys(ids[start : start + 1000], sync("x" * (size - 4)))})
    return ids


def test_where_none_is_missing_it_costs_a_few_commands_however_many_there_are(room: Room) -> None:
    ids = given(room, 5000)
    room.fill({"ready": {task_id: place(n) for n, task_id in enumerate(ids)}})
    look = Audit(room.broker)
    assert look.portion() == 0
    found, commands = asked(room, look.portion)
    assert (found, commands["evalsha"]) == (0, 1)
    assert sum(commands.values()) < 25
    room.wipe()
    assert asked(room, look.portion) == (0, {"exists": 1})


def test_what_stands_nowhere_goes_behind_the_others(room: Room) -> None:
    room.fill({"tasks": {"a": sync(), "b": coro(), "c": sync(), "d": sync()}, "seq": "7"})
    room.fill({"ready": {"c": place(3)}, "scheduled": {"d": 9_999_999_999_999}})
    assert Audit(room.broker).portion() == 2
    assert (room["ready"].keys(), room["ready:async"].keys()) == ({"a", "c"}, {"b"})
    assert room["ready"]["a"] > place(7)
    assert Audit(room.broker).portion() == 0


def test_what_a_worker_without_a_lease_holds_goes_back_first_and_where_it_was(room: Room) -> None:
    room.fill({"tasks": {"a": sync(), "b": sync()}, "held:w*[1]": {"a": f"1 s {place(5)}"}})
    assert Audit(room.broker).portion() == 2
    assert room["ready"]["a"] == place(5)
    assert room["held:w*[1]"] is None


def test_a_portion_is_bounded_and_the_next_one_goes_on(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGES", 10)
    given(room, 30_000)
    look = Audit(room.broker)
    found = [look.portion()]  # loads the script; the keys of the server come first
    while room.client.zcard(room.prefix + "ready") < 30_000:
        restored, commands = asked(room, look.portion)
        assert commands.get("scan", 0) + commands.get("hscan", 0) <= 10
        assert commands["evalsha"] <= 1 + 2 * 10
        assert restored <= 10 * 1100  # a scan brings somewhat more than it is asked for
        found.append(restored)
    assert sum(found) == 30_000
    assert len(found) >= 3
    assert look.portion() == 0


def test_large_tasks_are_read_a_few_at_a_time(room: Room) -> None:
    ids = given(room, 300, 100_000)
    room.fill({"large": ids, "ready": {task_id: place(n) for n, task_id in enumerate(ids[1:])}})
    before = room.client.info("stats")["total_net_output_bytes"]
    look = Audit(room.broker)
    _, _, page, *_ = look._ask(())
    assert page <= READ_BYTES / 100_000
    assert look.portion() == 1
    sent = room.client.info("stats")["total_net_output_bytes"] - before
    assert sent < 35_000_000  # each was read once at most


def test_a_few_large_ones_among_many_small_make_pages_smaller_as_well(room: Room) -> None:
    given(room, 2000)
    room.fill({"tasks": {f"large{n}": sync("x" * 1_000_000) for n in range(40)}, "large": [f"large{n}" for n in range(40)]})
    assert 100 < Audit(room.broker)._ask(())[2] < 300  # 20 KB on average


def test_an_error_under_way_begins_the_look_anew(room: Room) -> None:
    given(room, 10)
    look = Audit(room.broker)
    room.client.set(room.prefix + "suspects", "not ours")
    with pytest.raises(Exception, match=r"WRONGTYPE|holds a"):
        look.portion()
    room.client.delete(room.prefix + "suspects")
    assert look.portion() + look.portion() == 10
