"""Schedules that nobody else would put right: lost places, and slots of a time to which a clock was wrongly set."""

from __future__ import annotations

import time

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.client.schedules import Schedules
from hotqueue.tasks.supervisor.declaring import Declared
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.schedules import looking, put, run, state_of

only_server = pytest.mark.servers("server")


class TestMending:
    @only_server
    def test_a_lost_place_is_put_back(self, room: Room) -> None:
        room.queue.schedule("s", 3600, room.queue.task(sample.square), (3,))
        room.client.delete(room.prefix + "schedules:next")
        looking(room)
        assert room["schedules:next"] == {"s": state_of(room).slot}

    @only_server
    def test_slots_of_a_clock_that_was_far_ahead_are_forgotten(self, room: Room) -> None:
        for name in ("fired", "made"):
            room.queue.schedule(name, 3600, room.queue.task(sample.square), (3,))
        year = 366 * 86_400_000
        ahead = int(time.time() * 1000) + year
        put(room, "fired", slot=ahead, last=ahead - 3_600_000)
        put(room, "made", slot=ahead + year)
        looking(room)
        assert all(at < time.time() * 1000 + 3_700_000 for at in room["schedules:next"].values())

    @only_server
    def test_what_nobody_has_declared_for_a_day_is_forgotten_by_whoever_looks(self, room: Room) -> None:
        queue = HotQueue(room.queue.name, url="redis://127.0.0.1:1")
        queue.periodic(3600, name="a", args=(1,))(sample.square)
        looked = looking(room)
        looked.declare(Declared(*Schedules(registry_of(queue)).declared()))
        run(looked)
        looked.leave()
        key = room.prefix + "schedules:declarers"
        [(who, at)] = room.client.zrange(key, 0, -1, withscores=True)
        looking(room).mend()
        assert list(room["schedules"]) == ["a"]
        room.client.zadd(key, {who: at - 86_400_001})
        looking(room)
        assert room["schedules"] is None
