"""A bulk action is known to every dashboard: how far it is, that it is to stop, and that the process that did it was killed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import bulk, bulk_told
from hotqueue.monitor.bulk import DISCARD, RETRY, REVOKE, Action, Actions, Choice, Counted, told_of
from hotqueue.monitor.filter_text import parse
from tests.support import dashboards
from tests.support.elsewhere import task_by_name
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]

# Does an action in portions of 50, and is killed once two are done, in the middle of the third.
KILLED = """
import os, signal, sys
from hotqueue import HotQueue
from hotqueue.monitor import acting, bulk
from hotqueue.monitor.bulk import Action, Actions, Choice, Counted

verb, name, url, action_id = sys.argv[1:]
queue = HotQueue(name, url=url)
bulk.PORTION = 50
taken = Action._take_in

def take_in(self, part, seen):
    if self.seen == 100:
        os.kill(os.getpid(), signal.SIGKILL)  # its script has run, and nobody was told
    taken(self, part, seen)

Action._take_in = take_in
action = Action(Choice(verb, [name]), Counted(500))
action.id, action.queue = action_id, name
action.run(queue._store)
"""


def with_dead(queue: HotQueue, number: int) -> list[str]:
    def fail(n: int) -> None:
        raise ValueError(n)

    ids = [each.id for each in queue.task(name="shop.fail")(fail).map(range(number))]
    queue.run_worker(burst=True)
    return ids


@pytest.mark.servers("server")
@pytest.mark.parametrize("verb", [RETRY, DISCARD])
def test_one_that_is_killed_has_done_whole_portions_and_everybody_sees_it(
    make_queue: MakeQueue, store_url: str, start_python: Callable[..., Any], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    ids = with_dead(queue, 500)
    asked = dashboards.client(queue)
    address = f"/bulk/abc123?queue={queue.name}"
    assert asked.get(address).status_code == 404
    start_python(KILLED, verb, queue.name, store_url, "abc123").wait()
    left = {dead.id for dead in queue.dead()}
    assert len(left) == 350
    assert queue.pending() == (150 if verb == RETRY else 0)
    page = unescape(asked.get(address).text)
    assert "working" in page
    assert "100 tasks" in page
    monkeypatch.setattr(bulk_told, "SILENT", 0.0)
    page = unescape(asked.get(address).text)
    assert "the dashboard that did it may have ended" in page
    assert "could not go on" in page
    again = Action(Choice(verb, [queue.name]), Counted(350))
    again.run(queue._store)
    assert (again.done.count, list(queue.dead())) == (350, [])
    if verb == RETRY:
        queue.run_worker(burst=True)
        assert {dead.id for dead in queue.dead()} == set(ids)  # each ran again
    else:
        asked.post("/do/undo", data={"bulk": "abc123", "queue": queue.name})
        assert {dead.id for dead in queue.dead()} == set(ids) - left  # also those of the portion nobody was told of
    queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_another_dashboard_sees_it_and_cancels_it(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, twin = make_queue(), make_queue()
    task_by_name(queue, "t").map(range(50))
    one, other = dashboards.client(queue), dashboards.client(twin)
    monkeypatch.setattr(bulk, "PORTION", 10)
    asked_elsewhere: list[str] = []
    taken = Action._take_in

    def take_in(self: Action, *args: Any) -> None:
        taken(self, *args)
        if self.seen == 20:  # while it is at work
            self.tell(queue._store)
            address = f"/bulk/{self.id}?queue={self.queue}"
            asked_elsewhere.append(other.get(address).text)
            form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked_elsewhere[0]))
            other.post("/do/cancel-revoke", data=form)

    monkeypatch.setattr(Action, "_take_in", take_in)
    page = one.post("/do/revoke-all", data={"q": f"queue:{queue.name}", "counted": "50"})
    address = str(page.url.path) + f"?queue={queue.name}"
    wait_until(lambda: "cancelled" in other.get(address).text)
    assert "20 tasks revoked" in asked_elsewhere[0]
    assert "20 tasks revoked" in other.get(address).text
    assert queue.pending() == 30
    queue.purge()


def test_what_is_told_is_what_there_is(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task_by_name(queue, "t").map(range(5))
    action = Actions(queue._store).start(Choice(REVOKE, [queue.name]), Counted(5, is_cut=True), "ann")
    wait_until(lambda: (told := told_of(queue._store, queue.name, action.id)) is not None and told.is_over)
    found = told_of(queue._store, queue.name, action.id)
    assert found is not None
    assert (found.state, found.seen, found.total, found.who) == ("finished", 5, Counted(5, is_cut=True), "ann")
    assert (found.done.count, found.done.said, found.choice.verb) == (5, {"revoked": 5}, REVOKE)
    assert 0 < queue._store.command(queue.name, "PTTL", keys.bulk(queue.name, action.id)) <= bulk_told.KEPT_MS


@pytest.mark.servers("embedded")
def test_a_search_that_finds_nothing_is_told_of_and_can_be_cancelled(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, twin = make_queue(), make_queue()
    task_by_name(queue, "t").map(range(50))
    monkeypatch.setattr(bulk, "ASKED_EACH", 0.0)
    monkeypatch.setattr(bulk_told, "SILENT", 0.0)
    told: list[str] = []
    tell = Action.tell

    def tells(self: Action, *args: Any) -> None:
        tell(self, *args)
        told.append(self.state)
        if told.count("working") == 20:
            bulk_told.cancel(twin._store, self.queue, self.id)

    monkeypatch.setattr(Action, "tell", tells)
    action = Actions(queue._store).start(Choice(REVOKE, [queue.name], parse("task:nope")), Counted(0))
    wait_until(lambda: action.is_over)
    assert action.state == "cancelled"
    assert told.count("working") == 20
    assert queue.pending() == 50
    queue.purge()


@pytest.mark.servers("embedded")
@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_how_old_it_is_goes_by_the_servers_clock(make_queue: MakeQueue, ahead: float) -> None:
    queue = make_queue()
    key, now = keys.bulk(queue.name, "x"), time.time()
    said: dict[str, Any] = {"who": "ann", "seen": 1, "state": "working", "error": "", "began": now + ahead, "ended": 0.0}
    said |= {"brought_back": 0, "verb": RETRY, "total": [9, False], "done": {"count": 1, "said": {}, "kept": 0}}
    bulk_told.tell(queue._store, queue.name, "x", said)  # by a dashboard whose clock goes wrong
    told, _ = bulk_told.told(queue._store, queue.name, "x")
    assert told is not None
    queue._store.command(key, "SET", key, json.dumps({**told, "told": told["told"] + ahead}), "PX", bulk_told.KEPT_MS)
    found = told_of(queue._store, queue.name, "x")
    assert found is not None
    assert (found.state, found.error) == ("working", "")
    assert abs(found.began - now) < 60
    queue._store.command(key, "PEXPIRE", key, bulk_told.KEPT_MS - 61_000)
    found = told_of(queue._store, queue.name, "x")
    assert found is not None
    assert (found.state, found.error) == (bulk.FAILED, bulk.SILENT)


@pytest.mark.servers("embedded")
@pytest.mark.parametrize("junk", ["", "no JSON", "[]", "{}", '{"verb": 1, "total": [1], "done": []}', '{"total": null}'])
def test_what_others_put_there_is_no_action(make_queue: MakeQueue, junk: str) -> None:
    queue = make_queue()
    key = keys.bulk(queue.name, "x")
    queue._store.command(key, "SET", key, junk, "PX", 60_000)
    assert told_of(queue._store, queue.name, "x") is None
    assert told_of(queue._store, queue.name, "y") is None
