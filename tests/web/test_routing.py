"""Pages and actions: answers to what is not there, not allowed, away or wrong; where one goes on; what is noted."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from html import unescape
from urllib.parse import quote, unquote

import pytest
from starlette.testclient import TestClient

from hotqueue import HotQueue, keys
from hotqueue.store.timeouts import COMMAND_TIMEOUT
from hotqueue.web import pages
from hotqueue.web.routing import for_cookie
from tests.support import dashboards
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]
Dashboard = Callable[..., TestClient]


def test_what_is_not_there_is_said_to_be_so(dashboard: Dashboard) -> None:
    asked = dashboard()
    assert asked.get("/nowhere").status_code == 404
    assert asked.get("/queues/none").status_code == 404
    assert asked.post("/do/nothing").status_code == 404
    assert asked.get("/do/pause").status_code == 405
    assert asked.get("/static/../page.py").status_code == 404


def test_a_page_that_has_not_changed_is_not_sent_again(dashboard: Dashboard) -> None:
    asked = dashboard()
    first = asked.get("/queues")
    again = asked.get("/queues", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_action_goes_on_where_one_was_and_says_what_it_did_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue)
    page = asked.post("/do/pause", data={"queue": queue.name, "_back": "/queues?sort=name"})
    assert (page.url.path, page.url.query) == ("/queues", b"sort=name")
    assert f"queue {queue.name} is paused" in page.text
    assert f"queue {queue.name} is paused" not in asked.get("/queues").text
    queue.resume()
    queue.clear()


def test_who_may_not_changes_nothing_and_sees_no_button(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("x")
    for asked in (dashboards.client(queue, read_only=True), dashboards.client(queue, allow=["retry"])):
        assert "/do/" not in asked.get(f"/queues/{queue.name}").text
        with caplog.at_level(logging.INFO, "hotqueue.audit"):
            assert asked.post("/do/pause", data={"queue": queue.name}).status_code == 403
        assert not queue.stats()["paused"]
        assert "local at 127.0.0.1: pause refused: you may not pause here" in caplog.messages
    queue.clear()


def test_every_change_is_noted(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("x")
    asked = dashboards.client(queue, users={"ann": "pw"})
    asked.post("/login", data={"user": "ann", "secret": "pw"})
    with caplog.at_level(logging.INFO, "hotqueue.audit"):
        asked.post("/do/pause", data={"queue": queue.name})
    (record,) = caplog.records
    assert record.message == f"ann at 127.0.0.1: pause queue {queue.name}: queue {queue.name} is paused"
    assert (record.__dict__["who"], record.__dict__["what"]) == ("ann", "pause")
    queue.resume()
    queue.clear()


def test_what_cannot_be_done_is_said_on_the_page(dashboard: Dashboard) -> None:
    asked = dashboard()
    assert "there is no queue" in asked.post("/do/pause", data={"queue": "none"}).text
    assert "no queue is selected" in asked.post("/do/pause").text
    assert "does not say which queue" in asked.post("/do/purge").text


def test_what_is_said_fits_into_a_cookie() -> None:
    text = "😀" * 1500
    assert text.startswith(unquote(for_cookie(text)))
    assert 1000 < len(for_cookie(text)) < 4000
    assert unquote(for_cookie("ü is short")) == "ü is short"


def test_a_form_may_be_large_but_not_any_size(dashboard: Dashboard) -> None:
    assert dashboard().post("/do/pause", data={"queue": "x" * 2_000_000}).status_code == 413


def test_a_form_has_few_enough_fields_to_be_read_at_once(dashboard: Dashboard) -> None:
    assert dashboard().post("/do/pause", content="a&" * 20_000).status_code == 413


def test_a_queue_of_any_name_has_a_page_and_one_stays_there(make_queue: MakeQueue, queue_name: str) -> None:
    queue = make_queue(f"{queue_name} a?b#c/ü")
    queue.put("x")
    asked = dashboards.client(queue)
    page = asked.get(f"/queues/{quote(queue.name)}")
    back = unescape(re.findall(r'name="_back" value="([^"]*)"', page.text)[0])
    page = asked.post("/do/pause", data={"queue": queue.name, "_back": back})
    assert (page.status_code, page.url.path) == (200, f"/queues/{queue.name}")
    assert f"queue {queue.name} is paused" in unescape(page.text)
    queue.resume()
    queue.clear()


def test_half_of_a_pair_in_what_a_task_says_breaks_no_page(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "hotqueue")  # xdist cannot send such a line on

    def fail() -> None:
        raise ValueError("half \ud800 of a pair")

    queue = make_queue()
    task_id = queue.task(name="half")(fail).delay().id
    queue.run_worker(burst=True)
    asked = dashboards.client(queue)
    for path in ("/dead", f"/task?queue={queue.name}&id={task_id}"):
        page = asked.get(path)
        assert page.status_code == 200
        assert "half \\ud800 of a pair" in page.text
    assert "that match" in asked.get(f"/bulk?verb=retry&q={quote('error:half')}").text
    queue.discard_dead(all=True)


def test_redis_may_be_away_and_come_back(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    asked = dashboards.client(server.url)
    assert asked.get("/").status_code == 200
    server.kill()
    wait_until(lambda: asked.get("/").status_code == 503)  # what was read lately is still shown
    for path in ("/", "/queues"):
        page = asked.get(path)
        assert page.status_code == 503
        assert "Redis cannot be reached" in page.text
    assert asked.post("/do/pause", data={"queue": "x"}).status_code == 503
    server.start()
    assert asked.get("/").status_code == 200


def test_a_server_that_says_nothing_is_told_of_before_a_command_would_end(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    asked = dashboards.client(server.url)
    assert asked.get("/").status_code == 200
    ended: list[str] = []

    def command() -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=COMMAND_TIMEOUT) as link:
            link.sendall(b"PING\r\n")
            with contextlib.suppress(TimeoutError):
                link.recv(64)
        ended.append("command")

    def look() -> None:
        wait_until(lambda: asked.get("/").status_code == 503)
        ended.append("page")

    os.kill(server.pid, signal.SIGSTOP)
    try:
        threads = [threading.Thread(target=each) for each in (command, look)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert ended == ["page", "command"]
    wait_until(lambda: asked.get("/").status_code == 200)


def test_every_page_needs_somebody_who_is_let_in(dashboard: Dashboard) -> None:
    asked = dashboard(authorize=lambda _request: None)
    paths = [page.path.replace("{queue:path}", "x") for page in pages.PAGES]
    assert {asked.get(path).status_code for path in paths} == {403}
    assert {asked.post(f"/do/{action.name}").status_code for action in pages.ACTIONS} == {403}


def test_what_a_user_of_the_store_may_not_is_no_server_that_is_away(
    start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    with HotQueue("mail", url=server.url) as queue:
        queue.put("x")
        key = keys.queue("mail")
        readers = ("~*", "+@read", "+info", "+eval", "+evalsha", "+ping", "+time")
        queue._store.command(key, "ACL", "SETUSER", "reader", "on", ">pw", *readers)
        caplog.set_level(logging.INFO, "hotqueue.audit")
        asked = dashboards.client(server.url.replace("redis://", "redis://reader:pw@"))
        assert asked.get("/queues").status_code == 200
        page = asked.post("/do/pause", data={"queue": "mail"})
        assert "Redis did not let us" in page.text
        assert "Redis cannot be reached" not in page.text
        assert not caplog.records
        assert not queue.stats()["paused"]
