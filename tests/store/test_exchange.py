"""One command and its reply: whether it may have run when none came, and scripts that a server does not have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

only_server = pytest.mark.servers("server")


@only_server
def test_a_lost_reply_is_sent_and_a_next_command_works(proxy: Proxy, key: str) -> None:
    store = Store(parse(proxy.url))
    store.command(key, "PING")
    proxy.lose_reply(b"INCR")
    with pytest.raises(ConnectionFailed, match=r"counting at .*; whether it was carried out is unknown") as info:
        store.command(key, "INCR", key, doing="counting")
    assert info.value.sent
    assert store.command(key, "INCR", key) == 2
    store.command(key, "DEL", key)
    store.close()


def test_a_server_that_stops_answering_is_given_up(start_redis: Callable[..., RedisServer], monkeypatch: Any) -> None:
    monkeypatch.setattr("hotqueue.store.timeouts.COMMAND_TIMEOUT", 0.3)
    server = start_redis()
    store = Store(parse(server.url))
    store.command("k", "PING")
    server.pause()
    start = time.monotonic()
    with pytest.raises(ConnectionFailed):
        store.command("k", "INCR", "k")
    assert time.monotonic() - start < allowed(2)
    server.resume()
    wait_until(lambda: store.command("k", "PING"))
    store.close()
