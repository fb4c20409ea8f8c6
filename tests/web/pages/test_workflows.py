"""Workflows: found while something of them is there, or by an id; a picture of links, with the error of each step that failed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.tasks import chain, chord, group
from tests.support import dashboards
from tests.support.elsewhere import task_by_name
from tests.web.pages.test_tasks import EVIL, fail

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def test_a_workflow_is_a_picture_with_its_errors(make_queue: MakeQueue) -> None:
    queue = make_queue()
    failing, behind = queue.task(name="shop.fail")(fail), task_by_name(queue, "shop.<script>alert(1)</script>")
    last = chain(failing.s(EVIL), behind.si(2)).delay()
    queue.run_worker(burst=True)
    asked = dashboards.client(queue)
    page = asked.get("/workflows").text
    workflow_id = last.id.rpartition("-")[0]
    assert workflow_id in page
    assert "1 skipped" in page
    assert workflow_id in asked.get(f"/workflows?id={last.id}").text
    page = asked.get(f"/workflow?queue={queue.name}&id={workflow_id}").text
    assert page.count("<rect") == 2
    assert len(re.findall(r'<path d="M[^"]*" class="s-failed">', page)) == 1
    assert "Traceback (most recent call last)" in page
    assert "<script>a" not in page
    queue.discard_dead(all=True)


def test_many_alike_are_one_box(make_queue: MakeQueue) -> None:
    queue = make_queue()
    one, body = (task_by_name(queue, name) for name in ("shop.one", "shop.body"))
    last = chord(group(one.s(n) for n in range(40)), body.s()).delay()
    page = dashboards.client(queue).get(f"/workflow?queue={queue.name}&id={last.id}").text
    assert "40 × shop.one" in page
    assert page.count("<rect") == 2
    queue.purge()


def test_one_that_is_not_there_says_so(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue)
    assert "No workflow is under way" in asked.get("/workflows").text
    assert "No queue knows a workflow nobody" in asked.get("/workflows?id=nobody").text
    assert asked.get(f"/workflow?queue={queue.name}&id=nobody").status_code == 404
    assert asked.get("/workflow").status_code == 404
    queue.clear()


def test_one_of_which_a_key_is_wrong_hides_no_other(make_queue: MakeQueue) -> None:
    queue = make_queue()
    failing, behind = queue.task(name="shop.fail")(fail), task_by_name(queue, "shop.behind")
    broken, other = (chain(failing.s(n), behind.si(2)).delay() for n in range(2))
    queue.run_worker(burst=True)
    ids = [each.id.rpartition("-")[0] for each in (broken, other)]
    key = keys.result(queue.name, f"workflow:{ids[0]}")
    queue._store.command(key, "DEL", key)
    queue._store.command(key, "RPUSH", key, "x")
    page = dashboards.client(queue).get("/workflows")
    assert page.status_code == 200
    assert f"id={ids[1]}" in page.text
    assert "holds a list" in page.text
    queue._store.command(key, "DEL", key)
    queue.discard_dead(all=True)
