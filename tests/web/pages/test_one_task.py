"""One task: what happened to it, why it waits, its error, and what can be done about it; nothing of it is markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import chain
from hotqueue.web.pages.one_task import kind_of
from tests.support import dashboards
from tests.support.elsewhere import task_by_name
from tests.web.pages.test_tasks import EVIL, with_dead

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def double(n: int) -> int:
    return 2 * n


def test_a_dead_task_shows_its_traceback_and_is_retried(make_queue: MakeQueue) -> None:
    queue = make_queue()
    (task_id,) = with_dead(queue, EVIL)
    asked = dashboards.client(queue)
    page = asked.get(f"/task?queue={queue.name}&id={task_id}").text
    assert "Traceback (most recent call last)" in page
    assert "<script>a" not in page
    assert "<img src=x" not in page
    assert asked.get(f"/task?id={task_id}").status_code == 200
    key = re.search(r'name="task" value="([^"]*)"', page)
    assert key is not None
    assert "1 task retried" in asked.post("/do/retry", data={"task": unescape(key[1])}).text
    page = asked.get(f"/task?queue={queue.name}&id={task_id}").text
    assert "<strong>Why:</strong>" in page
    assert "1 task revoked" in asked.post("/do/revoke", data={"task": unescape(key[1])}).text


def test_what_has_ended_shows_its_result(make_queue: MakeQueue) -> None:
    queue = make_queue()
    done = queue.task(name="shop.double")(double).delay(21)
    queue.run_worker(burst=True)
    page = dashboards.client(queue).get(f"/task?queue={queue.name}&id={done.id}").text
    assert ">42</pre>" in page
    assert "success" in page


def test_a_step_leads_to_its_workflow(make_queue: MakeQueue) -> None:
    queue = make_queue()
    last = chain(task_by_name(queue, "shop.a").s(1), task_by_name(queue, "shop.b").s()).delay()
    page = dashboards.client(queue).get(f"/task?queue={queue.name}&id={last.id}").text
    assert "/workflow?queue=" in page
    assert "shop.a" in page
    queue.purge()


def test_one_that_is_not_there_is_said_to_be_gone(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue)
    for path in ("/task", "/task?id=nobody", f"/task?queue={queue.name}&id=nobody", "/task?queue=none&id=%3Cscript%3Ea"):
        page = asked.get(path)
        assert page.status_code == 404
        assert "<script>a" not in page.text
    gone = asked.post("/do/stop-task", data={"task": f"{len(queue.name)} {queue.name} nobody"})
    assert "unknown" in gone.text
    queue.clear()


def test_what_happened_has_a_colour() -> None:
    assert [kind_of(what) for what in ("SUCCESS", "failure", "error", "lost", "sent", "due")] == [
        "ok",
        "bad",
        "bad",
        "bad",
        "",
        "",
    ]
