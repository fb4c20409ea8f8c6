"""All that match: the number is said first, it is done in the background, how far it is can be seen, and it can be undone."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support import dashboards
from tests.support.waiting import wait_until
from tests.web.pages.test_tasks import with_dead

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def until_over(asked: Any, page: str) -> str:
    """Return the page of an action once that is over."""
    found = re.search(r'name="bulk" value="(\w+)"', page)
    assert found is not None
    address = f"/bulk/{found[1]}"
    wait_until(lambda: "finished" in asked.get(address).text)
    return str(asked.get(address).text)


def test_all_that_match_are_thrown_away_and_brought_back(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="hotqueue.audit")
    queue = make_queue()
    with_dead(queue, *range(12))
    asked = dashboards.client(queue)
    page = asked.get("/bulk?verb=discard&q=-arg:3").text
    assert "11 dead tasks" in page
    assert "<code>-arg:3</code>" in page
    assert "data-live" not in page  # counting costs more than a look
    page = until_over(asked, asked.post("/do/discard-all", data=fields(page)).text)
    assert "11 tasks thrown away" in page
    assert [dead.args for dead in queue.dead()] == ["3"]
    wait_until(lambda: "finished: 11 tasks thrown away" in caplog.text)
    page = asked.post("/do/undo", data=fields(page)).text
    assert "11 tasks are in the dead list again" in page
    assert len(list(queue.dead())) == 12
    queue.discard_dead(all=True)


def test_all_that_match_are_retried_and_revoked(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with_dead(queue, *range(5))
    asked = dashboards.client(queue)
    asked.post("/do/retry-all", data={"q": "task:shop.*", "counted": "5"})
    wait_until(lambda: queue.pending() == 5)
    page = asked.get("/bulk?verb=revoke").text
    assert "5 waiting tasks" in page
    asked.post("/do/revoke-all", data=fields(page))
    wait_until(lambda: queue.pending() == 0)
    assert "No waiting task matches" in asked.get("/bulk?verb=revoke").text


def test_what_is_not_there_says_so(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue)
    for path in ("/bulk/nope", "/bulk?verb=drop", "/bulk?verb=retry&q=state:nope"):
        assert asked.get(path).status_code == 404
    assert "hotqueue discard --undo" in unescape(asked.get("/bulk/nope").text)
    assert "nothing is known of that action" in asked.post("/do/undo", data={"bulk": "nope"}).text
    assert "nothing is known of that action" in asked.post("/do/cancel-retry", data={"bulk": "nope"}).text
    queue.clear()
