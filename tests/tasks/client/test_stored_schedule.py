"""A stored schedule that others change meanwhile: the change is made of what is there, and once.

What users see of it: test_schedule.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotqueue import ConfigError
from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.client.stored_schedule import TRIES, Made, function_of, live_by_version
from hotqueue.tasks.rules.firing import State
from tests.tasks import sample
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def test_what_others_changed_meanwhile_stays(room: Room) -> None:
    stored = room.queue.schedule("s", 3600, room.queue.task(sample.square), (1,))._stored
    asked = []

    def change(state: State, _now: int) -> Made:
        asked.append(state)
        if len(asked) == 1:
            room.broker.set_schedules([Change("s", state.text, replace(state, last=5).text, due="7")])
        return replace(state, is_paused=True), None

    stored.change_known(change)
    assert (len(asked), stored.state) == (2, replace(asked[0], last=5, is_paused=True))


def test_where_others_are_quicker_each_time_it_is_told(room: Room) -> None:
    stored = room.queue.schedule("s", 3600, room.queue.task(sample.square), (1,))._stored
    asked: list[State] = []

    def change(state: State, _now: int) -> Made:
        asked.append(state)
        room.broker.set_schedules([Change("s", state.text, replace(state, last=len(asked)).text, due="7")])
        return replace(state, is_paused=True), None

    with pytest.raises(ConfigError, match="is changed by others all the time"):
        stored.change_known(change)
    assert len(asked) == TRIES


def test_a_function_is_there_where_it_was_brought_along(room: Room) -> None:
    by_name = room.queue.schedule("a", 3600, room.queue.task(sample.square), (1,))
    by_value = room.queue.schedule("b", 3600, lambda n: n + 1, (1,))
    assert function_of(by_name._stored.row) is None
    found = function_of(by_value._stored.row)
    assert found is not None
    assert found.function(2) == 3


def test_who_lives_is_told_by_version() -> None:
    assert live_by_version({"v 1 b:2 x": 10, "v 2 a:1 y": 12, "w 3 c:3 z": 9, "w": 11}, 10) == {"v": ["a:1", "b:2"], "w": [""]}
