"""What a supervisor's parts share: why it cannot begin is said once, and nothing is written before there are queues."""

from __future__ import annotations

import pytest

from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.upkeep import Upkeep
from tests.tasks.contents import Room


def test_what_cannot_begin_says_why_and_ends() -> None:
    said: list[str] = []
    state = Phase(said.append)
    assert state.exit is None
    state.cannot_begin("no process can be started", 70)
    assert (said, state.exit) == (["no process can be started"], 70)


@pytest.mark.servers("server")
def test_writes_are_done_at_the_next_beat_once_there_are_queues(room: Room) -> None:
    state, done = Phase(lambda _text: None), []
    state.write_later(room.broker, lambda: done.append("early"))
    state.upkeep = Upkeep([room.broker], 60_000)
    state.write_later(room.broker, lambda: done.append("later"))
    state.upkeep.beat()
    assert done == ["later"]
