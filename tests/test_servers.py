"""The test servers themselves: every kind answers, a server that is killed can be started again, leaks are seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue.connection import Store
from tests import leaks
from tests.servers import RedisServer
from tests.waiting import wait_until


def test_every_kind_stores_and_returns(store: Store, queue_name: str) -> None:
    key = f"hotqueue:{queue_name}"
    assert store.command(key, "RPUSH", key, "a", "b") == 2
    assert store.command(key, "LRANGE", key, 0, -1) == [b"a", b"b"]


def test_a_key_without_ttl_or_owner_is_a_leak(store: Store, queue_name: str) -> None:
    of = f"{{hotqueue:{queue_name}}}:"
    client = store.client()
    client.hset(of + "tasks", "id", "envelope")
    client.zadd(of + "workers", {"alive": 1})
    client.hset(of + "held:alive", "id", "place")
    client.set(of + "result:1", "value", ex=10)
    client.hset(of + "held:gone", "id", "place")
    client.set(of + "result:2", "value")
    bad = [of + "held:gone", of + "result:2"]
    assert leaks.leaked(client, leaks.keys_of(client, queue_name)) == bad
    client.unlink(*bad)


def test_a_killed_server_starts_again_on_its_port(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--requirepass", "secret")
    port = server.port
    with server.client(password="secret") as client:
        client.set("a", 1)
        server.kill()
        server.start()
        assert server.port == port
        assert client.get("a") is None


def test_wait_until_says_what_did_not_come_true() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0\.01 s: the moon is blue \(last: \[\]\)"):
        wait_until(list, 0.01, "the moon is blue")
