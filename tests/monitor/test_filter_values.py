"""Whoever types a filter is offered what the store has, and the store is asked for no more than that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.filter_values import known
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session


@pytest.mark.servers("server")
def test_names_are_those_of_the_store(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    store = queue._store
    session = Session(Broker(store, queue.name), "w", "s", ["shop.price", "shop.mail"])
    session.register(60_000, {"host": "here", "pid": "1"})
    assert queue.name in known(store, "x -queue:", 9)["queue"]
    assert known(store, "task:s", 6, [queue.name]) == {"task": ["shop.mail", "shop.price"]}
    assert known(store, "worker:", 7, [queue.name]) == {"worker": ["w"]}
    assert known(store, "state:", 6) == known(store, "task", 4) == known(store, "", 0) == {}
    session.broker.reap("w", known_dead=True)
