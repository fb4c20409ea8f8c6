"""The answers to scrapes: one a second however many ask, each form its own, and queues that appear."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.client import client_of

pytest.importorskip("prometheus_client")
from hotqueue.monitor import scrapes

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]


def test_who_asks_within_a_second_gets_the_same_answer(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrapes, "KEPT", 3600.0)
    queue = make_queue()
    scrape = scrapes.Scrapes(client_of(queue).store, lambda: [queue.name])
    queue.put("one")
    first = scrape("")
    queue.put("two")
    assert scrape("*/*") == first
    assert f'hotqueue_messages{{queue="{queue.name}"}} 2.0' in scrape(scrapes.OPENMETRICS)[0].decode()
    monkeypatch.setattr(scrapes, "KEPT", 0.0)
    assert f'hotqueue_messages{{queue="{queue.name}"}} 2.0' in scrape("")[0].decode()


def test_the_form_is_the_one_asked_for(make_queue: MakeQueue) -> None:
    scrape = scrapes.Scrapes(client_of(make_queue()).store, list)
    assert scrape("text/html")[1].startswith("text/plain; version=")
    body, kind = scrape("application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert body.decode().endswith("# EOF\n")


def test_queues_that_appear_are_seen_at_the_next_look(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make_queue("scraped-1"), make_queue("scraped-2")
    first.put("a message")
    named = scrapes.Named(client_of(first).store, ["scraped-*"])
    assert named() == ["scraped-1"]
    second.put("a message")
    assert named() == ["scraped-1"]
    monkeypatch.setattr(scrapes, "LOOK", 0.0)
    assert sorted(named()) == ["scraped-1", "scraped-2"]
