"""Strings by the thousand: what comes is what a command for each would say, or what the server says instead."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.store.reading import CHUNK, FEW, TOGETHER, strings
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer

SIZES = (0, 1, 9, 10, 27, 27, 27, 27, 1000, CHUNK - 1, CHUNK, 3 * CHUNK)


def stored(store: Store, key: str, count: int) -> tuple[list[bytes], list[bytes | None]]:
    """Store strings of many sizes, some of which look like replies; every seventh is not there. Return their keys, and them."""
    draw = random.Random(1)
    keys = [f"{{{key}}}:{n}".encode() for n in range(count)]
    values = [None if n % 7 == 3 else (b"\r\n$-1\r\n*2\r\n" * 20_000)[: draw.choice(SIZES)] for n in range(count)]
    for name, value in zip(keys, values, strict=True):
        if value is not None:
            store.command(name, "SET", name, value, "PX", 60_000)
    return keys, values


@pytest.mark.parametrize("count", [1, FEW + 1, 2 * TOGETHER + 1])
def test_they_are_what_stands_there_on_every_kind_of_server(store: Store, key: str, count: int) -> None:
    keys, values = stored(store, key, count)
    assert strings(store, keys, "reading") == values
    assert strings(store, keys[:1] * 2, "reading") == values[:1] * 2  # by the same connection


def test_a_key_that_holds_something_else_is_none(store: Store, key: str) -> None:
    keys, values = stored(store, key, 100)
    store.command(keys[50], "DEL", keys[50])
    store.command(keys[50], "RPUSH", keys[50], "x")
    store.command(keys[50], "EXPIRE", keys[50], 60)
    values[50] = None
    assert strings(store, keys, "reading") == values


def test_a_url_may_ask_for_the_newer_protocol(start_redis: Callable[..., RedisServer], key: str) -> None:
    store = Store(parse(start_redis().url + "?protocol=3"))
    keys, values = stored(store, key, 100)
    assert strings(store, keys, "reading") == values
    store.close()


@pytest.mark.servers("server")
def test_what_the_server_refuses_is_said_as_ever(start_redis: Callable[..., RedisServer]) -> None:
    store = Store(parse(start_redis("--rename-command", "MGET", "").url))
    keys = [b"%d" % n for n in range(100)]
    with pytest.raises(ConnectionFailed, match=r"unknown command .MGET"):
        strings(store, keys, "reading")
    assert store.command("a", "PING") in (b"PONG", True)
    store.close()


@pytest.mark.servers("server")
def test_a_connection_that_ends_in_the_middle_is_a_failure_and_the_next_one_reads_all(proxy: Proxy, key: str) -> None:
    store = Store(parse(proxy.url))
    keys, values = stored(store, key, 2 * TOGETHER)
    proxy.lose_reply(b"MGET")
    with pytest.raises(ConnectionFailed):
        strings(store, keys, "reading")
    assert strings(store, keys, "reading") == values
    store.close()


@pytest.mark.servers("cluster")
def test_keys_that_have_moved_are_followed(store: Store, key: str) -> None:
    keys, values = stored(store, key, 100)
    right = store.pool.connections_to(keys[0])
    (wrong, *_) = [
        pool for n in range(100) if (pool := store.pool.connections_to(f"other-{n}")) is not right
    ]  # a node that answers MOVED
    store.pool.connections_to = lambda _: wrong  # type: ignore[method-assign]
    assert strings(store, keys, "reading") == values
