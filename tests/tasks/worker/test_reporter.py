"""What a process says to its supervisor: a length, and a dict."""

from __future__ import annotations

import os

import pytest

from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker.reporter import Reporter
from tests.tasks import sample
from tests.tasks.contents import Room


@pytest.mark.servers("server")
def test_what_is_said_is_what_the_supervisor_reads(room: Room) -> None:
    read, write = os.pipe()
    reporter = Reporter(write)
    room.queue.periodic(60, name="s", args=(1,))(sample.square)
    reporter.hello([room.queue._tasks], ["b", "a"], [room.queue._store])
    reporter.left(3, 4)
    said = list(Child(0, -1, read, [], []).reports())
    assert [each["kind"] for each in said] == ["hello", "left"]
    assert said[0]["tasks"] == ["a", "b", "tests.tasks.sample.square"]
    assert (said[0]["keys"], list(payload.loads(said[0]["declared"])[0][1])) == ([None], ["s"])
    assert (said[1]["queue"], said[1]["order"]) == (3, 4)
    os.close(read)
    os.close(write)
