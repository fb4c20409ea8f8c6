"""hotqueue workers: who works where, and at what."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.ordering import STOP, order_of
from hotqueue.tasks.broker.session import Session
from tests.support.elsewhere import task_by_name
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


def test_programs_of_one_name_are_told_at_the_same_time(
    make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any]
) -> None:
    queue = make_queue()
    broker = Broker(queue._store, queue.name)
    for n in (1, 2):
        Session(broker, f"w-{n}", "s").register(60_000, {"name": f"web-{n}", "supervisor": f"p-{n}", "kind": "s"})
    orders = [order_of(STOP, f"p-{n}") for n in (1, 2)]

    def obey() -> None:  # neither does before both were told
        wait_until(lambda: all(map(broker.has_order, orders)))
        for order in orders:
            broker.strike_order(order)

    obeying = threading.Thread(target=obey)
    obeying.start()
    where = ("-u", store_url, "-Q", queue.name)
    done = call("workers", "--stop", "web-*", "--yes", *where)
    obeying.join()
    assert (done.code, done.out, done.err) == (0, "web-*: told to stop\n", "")
    done = call("workers", "--quiet", "wbe-1", "--yes", *where)
    assert (done.code, done.out) == (2, "")
    assert "there is no worker 'wbe-1'" in done.err
    assert "did you mean 'web-" in done.err
    for n in (1, 2):
        broker.reap(f"w-{n}", known_dead=True)


def test_a_name_is_no_glob_where_one_is_called_so_and_a_glob_that_none_is_says_so(
    make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any]
) -> None:
    queue = make_queue()
    broker = Broker(queue._store, queue.name)
    for name in ("web[1]", "web1"):
        Session(broker, f"w-{name}", "s").register(60_000, {"name": name, "supervisor": f"p-{name}", "kind": "s"})
    orders = {name: order_of(STOP, f"p-{name}") for name in ("web[1]", "web1")}
    was_told = []

    def obey() -> None:
        wait_until(lambda: broker.has_order(orders["web[1]"]))
        was_told.append(broker.has_order(orders["web1"]))
        broker.strike_order(orders["web[1]"])

    obeying = threading.Thread(target=obey)
    obeying.start()
    where = ("-u", store_url, "-Q", queue.name)
    done = call("workers", "--stop", "web[1]", "--yes", *where)
    obeying.join()
    assert (done.code, done.out, was_told) == (0, "web[1]: told to stop\n", [False])
    done = call("workers", "--stop", "web[9-0]", "--yes", *where)
    assert (done.code, done.out) == (1, "")
    assert "--stop: the range 9-0 runs backwards" in done.err
    for name in orders:
        broker.reap(f"w-{name}", known_dead=True)


def test_workers_are_listed(make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()
    where = ("-u", store_url, "-Q", queue.name)
    queue.put("a")
    done = call("workers", *where)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("hotqueue: there is no worker at ")
    session = Session(Broker(queue._store, queue.name), "w-1", "s")
    session.register(60_000, {"host": "elsewhere", "pid": "17", "name": "web", "kind": "s", "version": "0.1.0", "python": "3.11"})
    sent = task_by_name(queue, "shop.price").delay(1)
    session.step(room=5)
    (row,) = map(json.loads, call("workers", "--json", *where).lines)
    assert (row["name"], row["pid"], row["in_hand"][0]["id"]) == ("web", 17, sent.id)
    done = call("workers", *where)
    assert done.lines[0].split() == ["WORKER", "PROCESS", "KIND", "UP", "MEMORY", "VERSION", "QUEUES", "RUNS"]
    assert done.lines[1].endswith(f"0.1.0 py3.11  {queue.name}  shop.price[{sent.id}]")
    session.broker.reap("w-1", known_dead=True)
    queue.purge()
    queue.clear()
