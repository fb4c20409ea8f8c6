"""The answers to scrapes: one a second however many ask, each form its own, and queues that appear."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hotqueue import ConnectionFailed, HotQueue
from hotqueue.tasks.client.client import client_of
from tests.support.waiting import holds_for

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


def test_who_waited_for_somebody_who_waited_in_vain_does_not_wait_anew(make_queue: MakeQueue) -> None:
    together, asked, failed = threading.Barrier(4), list[str](), list[Exception]()

    def queues() -> list[str]:
        asked.append("")
        holds_for(lambda: len(asked) == 1, 1.0, "one waits for the server, the others for that one")
        raise ConnectionFailed("no answer")

    scrape = scrapes.Scrapes(client_of(make_queue()).store, queues)

    def ask() -> None:
        together.wait()
        with pytest.raises(ConnectionFailed) as error:
            scrape("")
        failed.append(error.value)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(failed), len(asked)) == (4, 1)
    with pytest.raises(AssertionError):  # who comes later asks anew
        scrape("")
    assert len(asked) == 2


def test_queues_that_appear_are_seen_at_the_next_look(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make_queue("scraped-1"), make_queue("scraped-2")
    first.put("a message")
    named = scrapes.Named(client_of(first).store, ["scraped-*"])
    assert named() == ["scraped-1"]
    second.put("a message")
    assert named() == ["scraped-1"]
    monkeypatch.setattr(scrapes, "LOOK", 0.0)
    assert sorted(named()) == ["scraped-1", "scraped-2"]
