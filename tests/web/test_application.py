"""The application: mounted in FastAPI and Starlette, its links lead to itself; options that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.testclient import TestClient

import hotqueue.web
from hotqueue import ConfigError, HotQueue
from hotqueue.web.application import site_of
from tests.support import dashboards
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def test_every_kind_of_store_is_shown(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue)
    assert queue.name in asked.get("/queues").text
    assert asked.get(f"/queues/{queue.name}").status_code == 200
    queue.clear()


@pytest.mark.servers("embedded")
def test_where_it_is_mounted_all_links_lead_to_itself(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    app = Starlette(routes=[Mount("/ops/hotqueue", hotqueue.web.app(queue))])
    asked = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), headers={"sec-fetch-site": "same-origin"})
    for path in ("/ops/hotqueue/", "/ops/hotqueue/queues", f"/ops/hotqueue/queues/{queue.name}"):
        page = asked.get(path)
        links = re.findall(r'\s(?:href|src|action)="([^"#]+)"', page.text)
        assert len(links) > 5
        assert [link for link in links if not link.startswith("/ops/hotqueue/")] == []
        assert {asked.get(link).status_code for link in links if not re.search("/do/|/theme$", link)} == {200}
    page = asked.post("/ops/hotqueue/do/pause", data={"queue": queue.name, "_back": "/ops/hotqueue/queues"})
    assert page.url.path == "/ops/hotqueue/queues"
    assert queue.stats()["paused"]
    queue.resume()
    queue.clear()


@pytest.mark.servers("embedded")
def test_those_queues_alone_are_shown_that_are_named(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in "ab"]
    for queue in queues:
        queue.put("x")
    page = dashboards.client(queues[0], queues=[f"{queue_name}-a"]).get("/queues")
    assert f"{queue_name}-a" in page.text
    assert f"{queue_name}-b" not in page.text
    for queue in queues:
        queue.clear()


@pytest.mark.servers("embedded")
def test_tasks_of_other_queues_are_neither_shown_nor_touched(make_queue: MakeQueue, queue_name: str) -> None:
    ours, other = (make_queue(f"{queue_name}-{n}") for n in "ab")
    ours.put("x")
    secret = task_by_name(other, "shop.secret").delay("pssst")
    asked = dashboards.client(ours, queues=[ours.name])
    key = f"{len(other.name)} {other.name} {secret.id}"
    pages = [f"/task?queue={other.name}&id={secret.id}", f"/workflow?queue={other.name}&id={secret.id}"]
    for page in (*pages, f"/names/one?queue={other.name}&task=shop.secret"):
        answer = asked.get(page)
        assert answer.status_code == 404
        assert "shows no queue" in answer.text
    assert asked.get(f"/task?id={secret.id}").status_code == 404
    for action in ("revoke", "discard", "retry", "stop-task"):
        assert "shows no queue" in asked.post(f"/do/{action}", data={"task": [key]}).text
    assert "shows no queue" in asked.post("/do/pause", data={"queue": other.name}).text
    assert other.revoke_all(all=True) == 1  # it waits
    ours.clear()


@pytest.mark.servers("embedded")
def test_every_answer_has_the_headers_that_keep_others_off(make_queue: MakeQueue) -> None:
    def authorize(_request: Request) -> bool:
        raise RuntimeError("the directory is down")

    app = hotqueue.web.app(make_queue(), authorize=authorize)
    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert answer.status_code == 500
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="token= and users= would say nothing"):
        hotqueue.web.app("redis://127.0.0.1:1", authorize=lambda request: True, token="x")
    with pytest.raises(ConfigError, match="no right"):
        hotqueue.web.app("redis://127.0.0.1:1", allow=["fly"])


def test_what_the_first_page_needs_is_read_before_anybody_asks(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    queue.put("x")
    site = site_of(queue)
    site.warm()
    assert site.snapshots.reads == 1
    queue.clear()


def test_a_server_that_is_away_at_the_start_is_told_of_by_the_page() -> None:
    site = site_of("redis://127.0.0.1:1/0")
    site.warm()
    assert site.snapshots.reads == 0
