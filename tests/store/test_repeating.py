"""Running an operation again: what may run twice, how long, and who ends it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.stores import NOBODY

only_server = pytest.mark.servers("server")


@only_server
@pytest.mark.parametrize("twice", [True, False])
def test_repeat_repeats_what_may_run_twice(proxy: Proxy, key: str, twice: bool) -> None:
    store = Store(parse(proxy.url))
    proxy.lose_reply(b"INCR")
    if twice:
        assert store.repeat(lambda: store.command(key, "INCR", key)) == 2
    else:
        with pytest.raises(ConnectionFailed):
            store.repeat(lambda: store.command(key, "INCR", key), twice=False)
    assert store.command(key, "DEL", key) == 1
    store.close()


def test_repeat_waits_for_a_server_and_ends_when_told() -> None:
    store, stop = Store(parse(NOBODY)), threading.Event()
    tries: list[float] = []

    def attempt() -> Any:
        tries.append(time.monotonic())
        if len(tries) == 4:
            stop.set()
        return store.command("k", "GET", "k")

    with pytest.raises(ConnectionFailed):
        store.repeat(attempt, patience=None, stop=stop)
    assert len(tries) == 4
    with pytest.raises(ConnectionFailed):
        store.repeat(attempt, patience=0)
    assert len(tries) == 5
