"""Lists of tasks: by state, filtered by what the address says, completed, a page at a time; the selection; no text is markup."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor.snapshot import Snapshots
from hotqueue.web.access import Viewer
from hotqueue.web.page import CannotDo, Form, View
from hotqueue.web.pages.tasks import SELECTED, selected
from tests.support import dashboards
from tests.support.elsewhere import task_by_name

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def fail(n: object) -> None:
    raise ValueError(f"no {n}")


def with_dead(queue: HotQueue, *args: object) -> list[str]:
    ids = [each.id for each in queue.task(name="shop.fail")(fail).map(args)]
    queue.run_worker(burst=True)
    return ids


def keys_on(page: str) -> list[str]:
    return [unescape(key) for key in re.findall(r'name="task" value="([^"]*)"', page)]


def ids_on(page: str) -> list[str]:
    return re.findall(r'<tr data-key="\d+ \S+ ([^"]+)"', page)


def test_lists_say_what_the_filter_in_the_address_says(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with_dead(queue, 1, 2)
    later = task_by_name(queue, "shop.later").apply_async((1,), countdown=900)
    sent = [task_by_name(queue, "shop.price").delay(n) for n in range(3)]
    asked = dashboards.client(queue)
    assert len(ids_on(asked.get("/tasks").text)) == 6
    assert ids_on(asked.get("/tasks?q=state:scheduled").text) == [later.id]
    assert ids_on(asked.get(f"/tasks?q={quote('task:shop.price arg:2')}").text) == [sent[2].id]
    assert len(ids_on(asked.get("/dead").text)) == 2
    assert len(ids_on(asked.get("/dead?q=arg:1").text)) == 1
    page = asked.get("/tasks?q=state:nope").text
    assert "there is no state" in unescape(page)
    assert ids_on(page) == []
    assert "No task matches" in asked.get("/tasks?q=zzz").text
    queue.purge()
    queue.discard_dead(all=True)


def test_a_long_list_comes_a_page_at_a_time(make_queue: MakeQueue) -> None:
    queue = make_queue()
    sent = [each.id for each in task_by_name(queue, "shop.price").map(range(120))]
    asked = dashboards.client(queue)
    found = [each for n in (1, 2, 3) for each in ids_on(asked.get(f"/tasks?page={n}").text)]
    assert found == sent
    assert 'rel="next"' in asked.get("/tasks?page=2").text
    assert 'rel="next"' not in asked.get("/tasks?page=3").text
    queue.purge()


def test_some_are_selected_and_retried_thrown_away_brought_back_or_revoked(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with_dead(queue, 1, 2, 3, 4)
    asked = dashboards.client(queue)
    keys = keys_on(asked.get("/dead?q=arg:1,2").text) or keys_on(asked.get("/dead").text)
    page = asked.post("/do/discard", data={"task": keys[:3], "_back": "/dead"}).text
    assert "3 tasks thrown away" in page
    assert len(list(queue.dead())) == 1
    action = re.search(r'name="bulk" value="(\w+)"', page)
    assert action is not None
    assert "3 tasks are in the dead list again" in asked.post("/do/undo", data={"bulk": action[1]}).text
    assert len(list(queue.dead())) == 4
    assert "2 tasks retried" in asked.post("/do/retry", data={"task": keys[:2]}).text
    assert queue.pending() == 2
    keys = keys_on(asked.get("/tasks?q=state:waiting").text)
    assert "1 task revoked" in asked.post("/do/revoke", data={"task": keys[:1]}).text
    assert queue.pending() == 1
    assert "no task is selected" in asked.post("/do/retry", data={}).text
    queue.purge()
    queue.discard_dead(all=True)


def test_a_form_names_tasks_of_any_name() -> None:
    none: Any = None
    view = View(none, Snapshots(none), none, Viewer("ann"), frozenset())
    assert selected(view, Form({"task": ["5 a b c an id", "1 q x"]})) == {"a b c": ["an id"], "q": ["x"]}
    for key in ("", "x", "9 q x", "-1 q x", "1  x", "99999999 q x"):
        with pytest.raises(CannotDo):
            selected(view, Form({"task": [key]}))
    with pytest.raises(CannotDo, match=f"at most {SELECTED}"):
        selected(view, Form({"task": ["1 q x"] * (SELECTED + 1)}))


def test_who_may_only_look_is_offered_nothing_and_refused(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with_dead(queue, 1)
    asked = dashboards.client(queue, read_only=True)
    page = asked.get("/dead").text
    assert len(ids_on(page)) == 1
    assert "<button formaction" not in page
    assert "/bulk?" not in page
    (dead,) = queue.dead()
    for verb in ("retry", "discard", "discard-all", "undo"):
        assert asked.post(f"/do/{verb}", data={"task": f"{len(queue.name)} {queue.name} {dead.id}"}).status_code == 403
    assert [each.id for each in queue.dead()] == [dead.id]
    queue.discard_dead(all=True)


def test_whoever_types_is_offered_ways_to_go_on(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue)
    assert 'data-text="state:parked "' in asked.get("/filter?q=state:pa").text
    assert f'data-text="queue:{queue.name} "' in asked.get(f"/filter?q=queue:{queue.name[:-2]}").text
    assert 'data-text="task: x"' in asked.get("/filter?q=ta%20x&at=2").text
    assert "<script>a" not in asked.get(f"/filter?q={quote('queue:' + EVIL)}").text
    queue.clear()


def test_names_arguments_and_errors_are_text(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with_dead(queue, EVIL)
    task_by_name(queue, "shop.<script>alert(1)</script>").delay(EVIL)
    asked = dashboards.client(queue)
    for path in ("/tasks", "/dead", f"/tasks?q={quote(EVIL)}", f"/dead?q={quote(chr(34) + EVIL)}", f"/tasks?page={quote(EVIL)}"):
        page = asked.get(path).text
        assert "<script>a" not in page, path
        assert "<img src=x" not in page, path
    assert len(ids_on(asked.get("/tasks").text)) == 2
    queue.purge()
    queue.discard_dead(all=True)


def test_what_was_done_before_something_went_wrong_is_said_and_noted(
    make_queue: MakeQueue, queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue, broken = make_queue(), make_queue(f"{queue_name}-b")
    task_id, key = with_dead(queue, 1)[0], keys.dead(f"{queue_name}-b")
    broken._store.command(key, "SET", key, "x")
    caplog.set_level(logging.INFO, "hotqueue.audit")
    chosen = [f"{len(each.name)} {each.name} {task_id}" for each in (queue, broken)]
    page = dashboards.client(queue).post("/do/discard", data={"task": chosen})
    assert "1 task thrown away; of the rest nothing was done" in page.text
    assert any("discard tasks" in record.getMessage() for record in caplog.records)
    broken._store.command(key, "DEL", key)
