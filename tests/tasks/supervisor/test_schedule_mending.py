"""Schedules that nobody else would put right: lost places, and slots of a time to which a clock was wrongly set."""

from __future__ import annotations

import time

import pytest

from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.schedules import looking, put, state_of

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
