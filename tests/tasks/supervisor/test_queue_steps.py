"""Steps that wait for what was lost: a supervisor ends them, when it is time to look, and says so."""

from __future__ import annotations

import logging

import pytest

from hotqueue.tasks import chain
from hotqueue.tasks.supervisor import queue_steps
from hotqueue.tasks.supervisor.queue_steps import QueueSteps
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def test_they_are_ended_when_it_is_time(room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    one = room.queue.task(lambda *_: 1, name="one")
    result = chain(one.s(), one.s()).delay()
    words = f"result:workflow:{result.id.rpartition('-')[0]}"
    assert room.ttl(words) == -1
    room.client.delete(room.prefix + "owned")
    steps = QueueSteps(room.broker)
    steps.look()
    assert not result.ready()
    monkeypatch.setattr(queue_steps.time, "monotonic", lambda: 1e12)
    with caplog.at_level(logging.WARNING):
        steps.look()
    assert result.ready()
    assert "1 step failed, which waited for what is not known any more" in caplog.text
    assert "1 result was kept for steps that are not known any more" in caplog.text
    assert room.ttl(words) > 0
    steps.look()  # not again so soon
