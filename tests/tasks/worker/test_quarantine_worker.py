"""A quarantine process: it runs the suspects that may run as many side by side as it does, and leaves when none is left."""

from __future__ import annotations

import pytest

from hotqueue.tasks.worker.process import Process
from tests.tasks import sample
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def suspect(room: Room, task_id: str, width: int) -> None:
    """Have a task that was sent be suspected of having ended its process, together with `width` − 1 others."""
    room.client.zrem(room.prefix + "ready", task_id)
    room.fill({"suspects": {task_id: 1}, "attempts": {task_id: f"0 0 - - - 2 0 {width}"}})


def quarantine(room: Room, width: int) -> Process:
    """Run a quarantine process to its end."""
    process = Process([room.queue._tasks], threads=width, width=width, is_burst=True, supervisor="somebody")
    process.run()
    return process


def test_suspects_run_and_what_nobody_suspects_is_left_to_others(room: Room) -> None:
    note = room.queue.task(sample.note)
    suspected = [note.delay("one"), note.delay("two")]
    note.delay("other")
    for result in suspected:
        suspect(room, result.id, 1)
    process = quarantine(room, 1)
    assert sorted(sample.seen) == ["one", "two"]
    assert [result.get(timeout=5) for result in suspected] == ["one", "two"]
    assert (process.done["succeeded"], room.queue.pending()) == (2, 1)


def test_who_may_run_beside_fewer_is_not_fetched(room: Room) -> None:
    result = room.queue.task(sample.note).delay("alone")
    suspect(room, result.id, 1)
    assert quarantine(room, 4).done.total() == 0
    assert room["suspects"] == {result.id: 1}
