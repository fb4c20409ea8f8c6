"""One task: what happened to it, why it waits, its error, and what can be done about it; nothing of it is markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import one_task
from hotqueue.tasks import chain, current_task
from hotqueue.tasks.broker.streams import LOG_TTL
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


def logs(n: int) -> None:
    for m in range(n):
        current_task.log(f"{EVIL} {m}")
    current_task.log(f"run {current_task.request.attempt}\nis over")
    raise ValueError("no")


def test_what_a_task_logged_is_shown_of_all_its_runs(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="shop.logs", retries=1, default_retry_delay=0, retry_jitter=False)(logs)
    few, many = task.delay(1), task.delay(150)
    queue.run_worker(max_tasks=4)
    found = one_task.look(queue._store, queue.name, few.id)
    assert found is not None
    texts = [f"{EVIL} 0", "run 1\nis over", f"{EVIL} 0", "run 2\nis over"]
    assert [(line.attempt, line.text) for line in found.log] == list(zip((1, 1, 2, 2), texts, strict=True))
    assert found.as_json()["log"][0].keys() == {"at", "attempt", "text"}
    asked = dashboards.client(queue)
    page = asked.get(f"/task?queue={queue.name}&id={few.id}").text
    assert "run 2\nis over" in page
    assert "<script>a" not in page
    assert "lines before these were not kept" in asked.get(f"/task?queue={queue.name}&id={many.id}").text
    ttl = queue._store.command(keys.log(queue.name, few.id), "TTL", keys.log(queue.name, few.id))
    assert 0 < ttl <= LOG_TTL
    queue.discard_dead(all=True)


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
