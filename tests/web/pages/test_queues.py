"""The queues: searched, sorted, a page at a time; paused, resumed and emptied; no name is markup."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from tests.support import dashboards
from tests.support.elsewhere import task_by_name

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def names_on(page: str) -> list[str]:
    return re.findall(r'<tr data-key="([^"]+)">', page)


def test_queues_are_searched_and_sorted_a_page_at_a_time(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n:02}") for n in range(60)]
    for n, queue in enumerate(queues):
        for _ in range(1 + n % 3):
            queue.put("x")
    asked = dashboards.client(queues[0])
    assert names_on(asked.get("/queues?sort=name&page=2").text) == [queue.name for queue in queues[50:]]
    assert names_on(asked.get("/queues?sort=-name").text)[0] == queues[-1].name
    assert names_on(asked.get("/queues?sort=-messages&q=*-1?").text)[0] == queues[11].name
    assert names_on(asked.get(f"/queues?q={queue_name}-0[12]").text) == [queues[1].name, queues[2].name]
    assert "No queue matches" in asked.get("/queues?q=%3Cnone").text
    for queue in queues:
        queue.clear()


def test_a_queue_is_paused_resumed_and_purged(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for n in range(3):
        task_by_name(queue, "shop.price").delay(n)
    asked = dashboards.client(queue)
    asked.post("/do/pause", data={"queue": queue.name})
    assert queue.stats()["paused"]
    assert "Resume" in asked.get(f"/queues/{queue.name}").text
    asked.post("/do/resume", data={"queue": queue.name})
    asked.post("/do/pause", data={"queue": queue.name, "task": "shop.price"})
    assert "shop.price" in queue.stats()["paused_tasks"]
    asked.post("/do/resume", data={"queue": queue.name, "task": "shop.price"})
    assert "shop.price" not in queue.stats()["paused_tasks"]
    assert "3 tasks" in asked.post("/do/purge", data={"queue": queue.name}).text
    assert queue.pending() == 0


def test_several_queues_are_paused_and_resumed_at_once(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in range(4)]
    for queue in queues:
        queue.put("x")
    asked = dashboards.client(queues[0])

    def paused() -> list[int]:
        return [n for n, queue in enumerate(queues) if queue.stats()["paused"]]

    assert "2 queues are paused" in asked.post("/do/pause", data={"queue": [queue.name for queue in queues[:2]]}).text
    assert paused() == [0, 1]
    asked.post("/do/resume", data={"queue": [queue.name for queue in queues], "only": queues[0].name})
    assert paused() == [1]
    assert "4 queues are paused" in asked.post("/do/pause", data={"all": "1", "q": queue_name}).text
    assert paused() == [0, 1, 2, 3]
    asked.post("/do/resume", data={"all": "1", "q": f"{queue_name}-[23]"})
    assert paused() == [0, 1]
    newer = keys.schema(queues[0].name, keys.SCHEMA + 1)
    queues[0]._store.command(newer, "SET", newer, "1")
    said = asked.post("/do/resume", data={"queue": [queue.name for queue in queues]}).text
    assert "3 queues are resumed; not of 1: " in said
    queues[0]._store.command(newer, "DEL", newer)
    assert paused() == [0]
    assert "no queue is selected" in asked.post("/do/resume").text
    for form in ({"only": "none"}, {"queue": [queues[0].name, "none"]}):
        assert "there is no queue" in asked.post("/do/resume", data=form).text
    assert "at most 500" in asked.post("/do/resume", data={"queue": [f"{queue_name}-{n}" for n in range(501)]}).text
    assert dashboards.client(queues[0], queues=["x*"]).post("/do/resume", data={"only": queues[0].name}).status_code == 200
    assert paused() == [0]
    for queue in queues:
        queue.resume()
        queue.clear()


def test_a_name_is_text(make_queue: MakeQueue, queue_name: str) -> None:
    queue = make_queue(f"{queue_name}-<script>alert(1)</script>\"'><img src=x onerror=alert(1)>")
    queue.put("x")
    asked = dashboards.client(queue)
    for path in ("/", "/queues", "/queues?q=%3Cscript%3E", f"/queues/{queue.name}", "/queues/%3Cscript%3Ealert(1)"):
        page = asked.get(path).text
        assert "<script>a" not in page
        assert "<img src=x" not in page
    assert "<script>a" not in asked.post("/do/pause", data={"queue": queue.name}).text
    assert queue.stats()["paused"]
    queue.resume()
    queue.clear()
