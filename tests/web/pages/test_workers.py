"""The workers: found, sorted, a program with its processes; told to be quiet and to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from subprocess import DEVNULL

import pytest
from starlette.testclient import TestClient

from hotqueue import HotQueue
from hotqueue.monitor.workers import workers
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support import dashboards
from tests.support.elsewhere import task_by_name
from tests.support.processes import start_command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
EVIL = '<img/src=x/onerror="alert(1)">'


@pytest.fixture
def asked(make_queue: Callable[..., HotQueue]) -> Iterator[TestClient]:
    """A dashboard of a queue with workers that say evil things of themselves."""
    queue = make_queue()
    task = task_by_name(queue, f"shop.{EVIL}")
    for n in range(8):
        task.delay(n)
    sessions = []
    for n in range(3):
        sessions.append(Session(Broker(queue._store, queue.name), f"w-{n}", "sax"[n]))
        facts = {
            "host": f"host{EVIL}",
            "pid": str(7_000_070 + n),
            "kind": "sax"[n],
            "python": EVIL,
            "version": EVIL,
            "name": f"web{EVIL}" if n < 2 else "",
        }
        sessions[-1].register(60_000, {**facts, "supervisor": f"boss-{n // 2}"})
    sessions[0].step(room=7)
    yield dashboards.client(queue)
    for session in sessions:
        session.broker.reap(session.worker, known_dead=True)
    queue.revoke_all(all=True)


def test_programs_are_listed_found_and_shown(asked: TestClient) -> None:
    page = asked.get("/workers").text
    assert page.count("<tr data-key=") == 2
    assert '2 <span class="soft">· async, sync</span>' in page
    assert asked.get("/workers?q=web").text.count("<tr data-key=") == 1
    assert asked.get("/workers?q=7000072").text.count("<tr data-key=") == 1
    assert "No worker matches" in asked.get("/workers?q=none").text
    page = asked.get("/workers/boss-0").text
    assert page.count("<tr data-key=") == 2
    assert "and 2 more" in page
    assert asked.get("/workers/boss-9").status_code == 404


def test_what_workers_say_is_text(asked: TestClient) -> None:
    for path in ("/workers", "/workers/boss-0", "/workers/boss-1", "/workers?q=%3Cimg", "/"):
        page = asked.get(path)
        assert page.status_code == 200
        assert "<img/src" not in page.text


def test_one_that_is_gone_cannot_be_told(asked: TestClient) -> None:
    assert "there is no such worker any more" in asked.post("/do/stop", data={"program": "boss-9"}).text


def test_all_programs_are_told_at_once(make_queue: Callable[..., HotQueue], store_url: str) -> None:
    queue = make_queue()
    args = ("-Q", queue.name, "-u", store_url, "-p", "1")
    started = [
        start_command("hotqueue-worker", *args, "--name", f"web-{n}", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        for n in range(2)
    ]
    try:
        wait_until(lambda: len({worker.name for worker in workers(queue._store, [queue.name])}) == 2, 60)
        asked = dashboards.client(queue, queues=[queue.name])
        assert "All 2 programs finish what they run, and end." in asked.get("/workers").text
        assert "no such worker" in asked.post("/do/stop", data={"all": "1", "q": "none"}).text
        assert "2 programs finish what they run, and end" in asked.post("/do/stop", data={"all": "1", "q": "web"}).text
        assert [worker.wait(60) for worker in started] == [0, 0]
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


def test_a_program_is_told_to_stop(make_queue: Callable[..., HotQueue], store_url: str) -> None:
    queue = make_queue()
    args = ("-Q", queue.name, "-u", store_url, "-p", "1", "--name", "web-7")
    worker = start_command("hotqueue-worker", *args, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        found = wait_until(lambda: workers(queue._store, [queue.name]), 60)
        asked = dashboards.client(queue)
        assert "web-7 finishes what it runs, and ends" in asked.post("/do/stop", data={"program": found[0].program}).text
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()
