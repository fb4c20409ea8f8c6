"""Dead workers' files: they stay until everybody has seen them, and no longer."""

from __future__ import annotations

import os

import pytest

from hotqueue import presence
from hotqueue.presence import Presence
from hotqueue.tasks.supervisor import neighbours
from tests.tasks.contents import Room
from tests.tasks.upkeeping import beat, dead_presence, upkeep_of

pytestmark = pytest.mark.servers("server")


def test_what_the_dead_left_is_removed_once_everybody_has_seen_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, upkeep = dead_presence(room), upkeep_of(room)
    beat(upkeep)
    assert presence.is_alive(gone.folder, gone.id) is False
    monkeypatch.setattr(neighbours, "REMEMBERED", 0.0)
    beat(upkeep)
    assert not os.path.exists(presence.path_of(gone.folder, gone.id))


def test_what_nobody_removed_is_removed_when_it_is_old(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "REMEMBERED", 0.0)
    old, new, alive = dead_presence(room), dead_presence(room), Presence(8)
    for each in (old, alive):
        os.utime(presence.path_of(each.folder, each.id), (5, 5))
    beat(upkeep_of(room))
    assert [os.path.exists(presence.path_of(each.folder, each.id)) for each in (old, new, alive)] == [False, True, True]
    alive.close()
    presence.forget(new.folder, new.id)
