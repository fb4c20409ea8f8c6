"""A new task from the page: sent by its name, once; what is wrong is said beside its field; one that has ended, again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape

import pytest
from starlette.testclient import TestClient

from hotqueue import HotQueue, keys
from hotqueue.monitor import one_task
from hotqueue.monitor.tasks import Search
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support import dashboards
from tests.support.elsewhere import task_by_name

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]
Known = Callable[..., HotQueue]


@pytest.fixture
def known(make_queue: MakeQueue) -> Iterator[Known]:
    """``known("shop.price")`` → a queue with a worker that knows these names."""
    queue, sessions = make_queue(), list[Session]()

    def make(*names: str) -> HotQueue:
        session = Session(Broker(queue._store, queue.name), "w", "s", names)
        session.register(60_000, {"host": "h"})
        sessions.append(session)
        return queue

    yield make
    for session in sessions:
        session.broker.reap("w", known_dead=True)
    queue.purge()
    queue.discard_dead(all=True)


def refuse(*_args: object, **_named: object) -> None:
    raise ValueError("no")


def sent(asked: TestClient, **form: str) -> str:
    """Send a form as the page has it; return the page that follows."""
    nonce = re.search(r'name="nonce" value="([^"]+)"', asked.get("/new").text)
    assert nonce
    return unescape(asked.post("/do/enqueue", data={"nonce": nonce[1], **form}).text)


def test_a_call_is_sent_and_its_page_follows(known: Known, caplog: pytest.LogCaptureFixture) -> None:
    queue = known("shop.price")
    asked = dashboards.client(queue)
    with caplog.at_level(logging.INFO, "hotqueue.audit"):
        page = asked.post("/do/enqueue", data={"task": "shop.price", "args": "4 x=[1] to='\"5\"'", "priority": "7"})
    assert page.url.path == "/task"
    assert "shop.price is sent" in page.text
    assert "shop.price(4, x=[1], to='5')" in unescape(page.text)
    task_id = page.url.params["id"]
    found = one_task.look(queue._store, queue.name, task_id)
    assert found is not None
    assert (found.task, found.priority, found.state) == ("shop.price", 7, "waiting")
    (line,) = caplog.messages
    assert f"local at 127.0.0.1: enqueue task {task_id} of queue {queue.name}, a call of shop.price: " in line


def test_times_are_spans_or_instants(known: Known) -> None:
    queue = known("shop.price")
    asked = dashboards.client(queue)
    sent(asked, task="shop.price", start="15m", expires="2h")
    sent(asked, task="shop.price", start="2090-01-31 12:00")
    tasks = [one_task.look(queue._store, queue.name, row.id) for row in Search().rows(queue._store, [queue.name])]
    soon, late = sorted((task.due, task.expires) for task in tasks if task and task.due)
    assert late == (datetime(2090, 1, 31, 12, tzinfo=UTC), None)
    assert 880 < (soon[0] - datetime.now(UTC)).total_seconds() < 901
    assert soon[1] is not None


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(known: Known) -> None:
    queue = known("shop.price")
    asked = dashboards.client(queue)
    form = {"task": "shop.price", "args": '4 "<b>', "start": "soon", "expires": "9999999999d", "priority": "high", "into": "{a}"}
    answer = asked.post("/do/enqueue", data=form)
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert answer.text.count('aria-invalid="true"') == 5
    for text in ("\"<b>' begins like JSON", "'soon' is no time", "expires= takes", "'high' is no whole number", 'value="soon"'):
        assert text in page, text
    assert "<b>" not in answer.text
    assert "without blanks" in sent(asked, task="no such name")
    assert "no worker knows a task 'shop.prize'; did you mean 'shop.price'? Say which queue" in sent(asked, task="shop.prize")
    queue.put("x")
    queue._store.command(keys.schema(queue.name, keys.SCHEMA + 1), "SET", keys.schema(queue.name, keys.SCHEMA + 1), "1")
    assert "schema" in (page := sent(asked, task="shop.price", into=queue.name, args="4"))  # the queue is newer than we are
    assert ">\n4</textarea>" in page
    queue._store.command(queue.name, "DEL", keys.schema(queue.name, keys.SCHEMA + 1))
    queue.clear()


def test_a_name_that_nobody_knows_is_asked_about(known: Known) -> None:
    queue = known("shop.price")
    asked = dashboards.client(queue)
    page = sent(asked, task="shop.prize", into=queue.name, args="4")
    assert "Send it all the same: no worker of queue" in page
    assert "did you mean 'shop.price'?" in page
    assert queue.pending() == 0
    sure = re.search(r'name="sure" value="([^"]+)"', page)
    assert sure
    assert "so far" in sent(asked, task="shop.prize", into=f"{queue.name}-other", sure=sure[1])  # of another it is asked again
    assert "shop.prize is sent" in sent(asked, task="shop.prize", into=queue.name, args="4", sure=sure[1])
    assert queue.pending() == 1


def test_what_is_pressed_twice_is_sent_once(known: Known) -> None:
    queue = known("shop.price")
    asked = dashboards.client(queue)
    form = {"nonce": "n", "task": "shop.price", "args": "4"}
    first, again = asked.post("/do/enqueue", data=form), asked.post("/do/enqueue", data=form)
    assert first.url == again.url
    assert "had been sent already" in again.text
    assert asked.post("/do/enqueue", data={**form, "args": "5"}).url != first.url
    assert queue.pending() == 2


def test_the_form_offers_what_is_known_and_is_filled_in_by_the_address(known: Known) -> None:
    queue = known("shop.price", "shop.mail")
    asked = dashboards.client(queue)
    page = asked.get(f"/new?queue={queue.name}&task=shop.price&args=4+%3Cb").text
    assert '<option value="shop.mail">' in page
    assert f'name="into" value="{queue.name}"' in page
    assert "4 &lt;b</textarea>" in page
    assert f"/new?queue={queue.name}" in asked.get(f"/queues/{queue.name}").text


def test_a_task_that_ended_is_filled_in_again(known: Known) -> None:
    queue = known("shop.price")

    fail = queue.task(name="shop.fail")(refuse)
    for args in ((4, "a b"), ("x" * 500,)):
        fail.delay(*args, to=[1])
    queue.run_worker(burst=True)
    asked = dashboards.client(queue)
    pages = []
    for dead in queue.dead():
        assert "/new?" in asked.get(f"/task?queue={queue.name}&id={dead.id}").text
        pages.append(unescape(asked.get(f"/new?queue={queue.name}&again={dead.id}").text))
    long, short = sorted(pages, key=lambda page: '4 "a b" to=[1]</textarea>' in page)
    assert '4 "a b" to=[1]</textarea>' in short
    assert 'value="shop.fail"' in short
    assert "are not filled in" in long
    assert ">\n</textarea>" in long
    assert asked.get(f"/new?queue={queue.name}&again=none").status_code == 404


def test_who_may_not_sees_no_form_and_sends_nothing(known: Known) -> None:
    queue = known("shop.price")
    task_by_name(queue, "shop.price").delay()
    for asked in (dashboards.client(queue, read_only=True), dashboards.client(queue, allow=["pause"])):
        assert asked.get("/new").status_code == 404
        assert "/new" not in asked.get("/tasks").text
        assert asked.post("/do/enqueue", data={"task": "shop.price"}).status_code == 403
    asked = dashboards.client(queue, queues=["tenant-*"])
    assert "shows no queue" in sent(asked, task="shop.price", into=queue.name)
    asked = dashboards.client(queue)
    assert asked.post("/do/enqueue", data={"task": "shop.price"}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert queue.pending() == 1
