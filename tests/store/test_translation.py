"""What a failure means, in our words; on real servers that fail for real."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import keys
from hotqueue.errors import ConfigError, ConnectionFailed, QueueFull
from hotqueue.store.resolve import resolve
from hotqueue.store.scripts import Script, load
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.servers import RedisServer, Servers
from tests.support.stores import NOBODY

only_embedded = pytest.mark.servers("embedded")
ENTER = load("hotqueue.messages.lua", "enter")


SAYS_REFUSED = (
    r"^connecting at redis://127\.0\.0\.1:1/0 failed: [^.:]*; nothing was sent: is Redis running there\? check the URL$"
)


def test_nothing_was_sent_to_a_server_that_is_not_there() -> None:
    with pytest.raises(ConnectionFailed, match=SAYS_REFUSED) as info:
        Store(parse(NOBODY)).command("k", "GET", "k")
    assert (info.value.sent, info.value.retry) == (False, True)


@pytest.mark.parametrize(
    ("password", "says"),
    [("wrong", "invalid username-password pair|WRONGPASS"), (None, "Authentication required|NOAUTH")],
)
def test_a_refused_password_is_not_worth_a_retry(start_redis: Callable[..., RedisServer], password: Any, says: str) -> None:
    server = start_redis("--requirepass", "right")
    store = Store(resolve(options={"host": "127.0.0.1", "port": server.port, "password": password}))
    with pytest.raises(ConnectionFailed, match=says) as info:
        store.command("k", "GET", "k")
    assert (info.value.retry, info.value.sent) == (False, False)


def test_a_missing_permission_is_not_worth_a_retry(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--user", "small", "on", "nopass", "~*", "+get")
    store = Store(resolve(options={"host": "127.0.0.1", "port": server.port, "username": "small", "password": "x"}))
    assert store.command("k", "GET", "k") is None
    with pytest.raises(ConnectionFailed, match="permission") as info:
        store.command("k", "RPUSH", "k", "v")
    assert not info.value.retry
    store.close()


def test_replies_that_mean_not_now(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    store, client = Store(parse(server.url)), server.client()
    client.config_set("min-replicas-to-write", 1)
    with pytest.raises(ConnectionFailed, match="NOREPLICAS") as info:
        store.command("k", "SET", "k", 1)
    assert (info.value.retry, info.value.sent) == (True, False)
    client.config_set("min-replicas-to-write", 0)
    client.replicaof("127.0.0.1", 1)
    with pytest.raises(ConnectionFailed, match="read only replica; a replica takes no writes: name its master") as info:
        store.command("k", "SET", "k", 1)
    assert (info.value.retry, info.value.sent) == (True, False)
    client.replicaof("NO", "ONE")
    assert store.command("k", "SET", "k", 1) == b"OK"
    client.config_set("maxmemory", 1)
    with pytest.raises(QueueFull, match="drain the queue or raise maxmemory"):
        store.command("k", "RPUSH", "l", 1)
    store.close()


@only_embedded
def test_replies_that_mean_a_mistake(store: Store, key: str) -> None:
    store.command(key, "SET", key, "x")
    with pytest.raises(ConfigError, match="another type of value"):
        store.command(key, "LPOP", key)
    with pytest.raises(ConfigError, match="Redis answered: "):
        store.command(key, "INCR", key)


def test_a_command_that_is_not_there_has_a_cause(start_redis: Callable[..., RedisServer]) -> None:
    """Too old, disabled, or forbidden: each has another remedy. What a server repeats of the arguments stays out."""
    renamed = [part for name in ("EVAL", "EVALSHA", "GETDEL") for part in ("--rename-command", name, "")]
    store = Store(parse(start_redis(*renamed).url))
    with pytest.raises(ConfigError, match=r"hotqueue needs Redis 6\.2"):
        store.command("k", "GETDEL", "k")
    with pytest.raises(ConnectionFailed, match=r"unknown command .EVALSHA.; .* renamed or disabled .*, or a proxy") as info:
        store.run(ENTER, ["secret"], ["secret"], "entering")
    assert (info.value.retry, "secret" in str(info.value), "6.2" in str(info.value)) == (False, False, False)
    store.close()
    inside = Store(parse(start_redis("--rename-command", "ZADD", "").url))
    with pytest.raises(ConfigError, match=r"needs Redis 6\.2 or newer .*, with none of its commands renamed or disabled"):
        inside.run(ENTER, ["c", "d"], ["a", "1", "2", "3"], "entering")
    inside.close()


def test_a_command_that_is_forbidden_has_another_cause(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        for name, commands in {"outer": ["-eval", "-evalsha"], "inner": ["-zadd"]}.items():
            client.acl_setuser(name, enabled=True, nopass=True, keys="*", commands=["+@all", *commands])
    for name in ("outer", "inner"):
        store = Store(parse(f"redis://{name}:x@127.0.0.1:{server.port}"))
        with pytest.raises(ConnectionFailed, match="check the user name, the password and the user's permissions") as info:
            store.run(ENTER, ["c", "d"], ["a", "1", "2", "3"], "entering")
        assert (info.value.retry, "6.2" in str(info.value)) == (False, False)
        store.close()


def test_a_server_of_something_else_is_one_sentence() -> None:
    other = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with pytest.raises(
        ConnectionFailed, match=rf"at redis://127\.0\.0\.1:{other.server_port}/0(: .*not a Redis server| failed: )"
    ) as info:
        Store(parse(f"redis://127.0.0.1:{other.server_port}")).command("k", "GET", "k")
    assert "\n" not in str(info.value)
    other.shutdown()
    other.server_close()


@pytest.mark.servers("cluster")
def test_what_a_script_does_not_find_in_a_slot_that_moves_is_for_later(store: Store, servers: Servers, queue_name: str) -> None:
    key, script = keys.tasks(queue_name), Script("return redis.call('GET', KEYS[1] .. ':more')")
    store.command(key, "HSET", key, "field", "value")
    cluster: Any = servers.running("cluster")
    slot = store.client().keyslot(key)
    port = store.client().get_node_from_key(key).port
    home, other = sorted(cluster.nodes, key=lambda node: node.port != port)[:2]
    home.client().execute_command(
        "CLUSTER", "SETSLOT", slot, "MIGRATING", other.client().execute_command("CLUSTER", "MYID").decode()
    )
    try:
        with pytest.raises(ConnectionFailed, match=r"non local key.*; the slot of the queue moves to another node") as info:
            store.run(script, [key], [])
        assert (info.value.sent, info.value.retry) == (True, True)
    finally:
        home.client().execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
    assert store.run(script, [key], []) is None
    store.command(key, "DEL", key)
