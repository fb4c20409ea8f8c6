"""Limits: how full each gate is and who waits there; a key is paused and resumed where it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.support import dashboards

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def price(tenant: str) -> str:
    return tenant


def test_gates_show_who_waits_and_keys_are_paused(make_queue: MakeQueue) -> None:
    queue = make_queue()
    asked = dashboards.client(queue)
    queue.put("x")
    assert "Nothing has a limit here now" in asked.get("/limits").text
    task = queue.task(name="shop.one", max_concurrency=1, concurrency_key=lambda tenant: tenant)(price)
    sent = [task.delay("<b>ann") for _ in range(3)]
    page = asked.get("/limits").text
    assert "1 at a time" in page
    assert "1 of 1" in page
    assert sent[1].id in page
    assert "<b>ann" not in page
    asked.post("/do/pause", data={"queue": queue.name, "key": "<b>ann"})
    assert queue.stats()["paused_keys"] == ["<b>ann"]
    page = asked.get(f"/limits?queue={queue.name}").text
    assert "nothing starts" in page
    asked.post("/do/resume", data={"queue": queue.name, "key": "<b>ann"})
    assert queue.stats()["paused_keys"] == []
    queue.purge()
    queue.clear()
