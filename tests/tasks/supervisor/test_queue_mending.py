"""What no sweep shows is looked for when it is time, and not with each beat."""

from __future__ import annotations

import time

import pytest

from tests.tasks.contents import Room, place, sync
from tests.tasks.upkeeping import beat, upkeep_of

pytestmark = pytest.mark.servers("server")


def test_old_counters_are_trimmed(room: Room) -> None:
    minute = int(time.time() // 60)
    room.client.hset(room.prefix + "stats", mapping={f"{minute}:new": 1, f"{minute - 2 * 24 * 60}:old": 1})
    upkeep = upkeep_of(room)
    [queue] = upkeep._queues.values()
    beat(upkeep)
    assert len(room["stats"]) == 2, "not at once: many workers look after many queues"
    queue.mending._trim_at = 0.0
    beat(upkeep)
    assert room["stats"] == {"new": 1}


def test_millions_of_ids_of_ended_tasks_are_not_left_to_expire_at_once(room: Room) -> None:
    room.fill({"tasks": {"t": sync()}, "ready": {"t": place(1)}, "done:1": ["ended"]})
    room.client.pexpire(room.prefix + "done:1", 20_000)
    room.client.config_resetstat()
    upkeep = upkeep_of(room)
    beat(upkeep)
    assert room["done:1"] is None
    stats = room.client.info("commandstats")
    assert (stats["cmdstat_unlink"]["calls"], stats["cmdstat_pttl"]["calls"]) == (1, 3)
    beat(upkeep)
    assert room.client.info("commandstats")["cmdstat_pttl"]["calls"] == 3  # not at each beat
