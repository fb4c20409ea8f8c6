"""The schedules: when they fire, in words; run now, paused, resumed, removed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.support import dashboards

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def test_a_schedule_is_run_paused_resumed_and_removed(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.schedule("nightly <b>", "0 3 * * *", "shop.report", tz="Europe/Paris")
    asked = dashboards.client(queue)
    page = asked.get("/schedules").text
    assert "every day at 03:00 (Europe/Paris)" in page
    assert "nightly <b>" not in page
    named = {"queue": queue.name, "name": "nightly <b>"}
    assert "runs now, as task" in asked.post("/do/run-schedule", data=named).text
    assert queue.pending() == 1
    assert "is paused" in asked.post("/do/pause-schedule", data=named).text
    assert queue.schedules()[0].is_paused
    assert "goes on" in asked.post("/do/resume-schedule", data=named).text
    assert not queue.schedules()[0].is_paused
    assert "there is no schedule" in asked.post("/do/run-schedule", data={**named, "name": "x"}).text
    assert "there is no queue" in asked.post("/do/run-schedule", data={**named, "queue": "x"}).text
    assert "is removed" in asked.post("/do/remove-schedule", data=named).text
    assert queue.schedules() == []
    assert "There is no schedule: @queue.periodic() and queue.schedule() make some." in asked.get("/schedules").text
    queue.purge()
