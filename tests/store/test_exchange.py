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


ASKED = [
    ("HGETALL", "{}:hash"),
    ("HSCAN", "{}:hash", 0),
    ("HGET", "{}:hash", "b"),
    ("HMGET", "{}:hash", "a", "b", "c"),
    ("HKEYS", "{}:hash"),
    ("HEXISTS", "{}:hash", "a"),
    ("SMEMBERS", "{}:set"),
    ("SISMEMBER", "{}:set", "x"),
    ("ZRANGE", "{}:sorted", 0, -1, "WITHSCORES"),
    ("ZREVRANGE", "{}:sorted", 0, -1, "WITHSCORES"),
    ("ZSCORE", "{}:sorted", "x"),
    ("ZMSCORE", "{}:sorted", "x", "y"),
    ("SET", "{}:text", "x", "PX", 60_000),
    ("SET", "{}:text", "y", "NX"),
    ("PEXPIRE", "{}:text", 60_000),
    ("GETRANGE", "{}:text", 0, 1),
    ("EXISTS", "{}:text"),
    ("TYPE", "{}:text"),
    ("LRANGE", "{}:list", 0, -1),
    ("LTRIM", "{}:list", 0, -1),
    ("MGET", "{}:text", "{}:none"),
    ("GET", "{}:none"),
]


@pytest.mark.servers("cluster")
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[0])
def test_a_reply_from_where_a_key_has_moved_is_as_any_other(store: Store, key: str, asked: tuple[Any, ...]) -> None:
    name = f"{{{key}}}"
    for command in (
        ("HSET", f"{name}:hash", "a", "1", "b", "2"),
        ("SADD", f"{name}:set", "x"),
        ("ZADD", f"{name}:sorted", 1, "x"),
        ("SET", f"{name}:text", "x"),
        ("RPUSH", f"{name}:list", "x", "y"),
    ):
        store.command(name, *command)
        store.command(name, "PEXPIRE", command[1], 60_000)
    command = tuple(part.format(name) if isinstance(part, str) else part for part in asked)
    at_home = store.command(name, *command)
    right = store.pool.connections_to(name)
    wrong = next(pool for n in range(100) if (pool := store.pool.connections_to(f"other-{n}")) is not right)
    store.pool.connections_to = lambda _: wrong  # type: ignore[method-assign]  # a node that answers MOVED
    assert repr(store.command(name, *command)) == repr(at_home)
