"""Store: what a failure means, what may be repeated, scripts, fork; on real servers that fail for real."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import ConfigError, ConnectionFailed, QueueFull
from hotqueue.store.resolve import resolve
from hotqueue.store.scripts import Script, load
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")

NOBODY = "redis://127.0.0.1:1/0"
SAYS_REFUSED = (
    r"^connecting at redis://127\.0\.0\.1:1/0 failed: [^.:]*; nothing was sent: is Redis running there\? check the URL$"
)


ENTER = load("hotqueue.messages.lua", "enter")


def script(text: str) -> Script:
    return Script(text.encode(), hashlib.sha1(text.encode()).hexdigest().encode())


@pytest.fixture
def key(queue_name: str) -> str:
    return f"hotqueue:{queue_name}"


@pytest.fixture
def proxy(store_url: str) -> Iterator[Proxy]:
    """A proxy in front of the store, which must be a stand-alone server."""
    running = Proxy(store_url)
    yield running
    running.close()


# --- commands and scripts --------------------------------------------------------------------------------------------


def test_a_command_goes_to_the_server_of_its_key(store: Store, key: str) -> None:
    assert store.command(key, "RPUSH", key, b"\xff", "text", 5) == 3
    assert store.command(key, "LRANGE", key, 0, -1) == [b"\xff", b"text", b"5"]


def test_a_script_is_loaded_where_it_is_missing(store: Store, key: str) -> None:
    push = script("return redis.call('RPUSH', KEYS[1], ARGV[1])")
    assert [store.run(push, [key], [n]) for n in (1, 2)] == [1, 2]
    store.client().script_flush()
    assert store.run(push, [key], [3]) == 3

    async def use() -> None:
        store.client().script_flush()
        assert await store.arun(push, [key], [4]) == 4
        assert await store.arun(push, [key], [5]) == 5
        await store.aclose()

    asyncio.run(use())


def test_scripts_are_loaded_once_over_their_prelude() -> None:
    turn = load("hotqueue.messages.lua", "turn", "held")
    assert turn is load("hotqueue.messages.lua", "turn", "held")
    assert turn.text.startswith(b"-- Prelude")
    assert turn.text.endswith(b"return message\n")
    assert turn.sha == hashlib.sha1(turn.text).hexdigest().encode()
    with pytest.raises(FileNotFoundError):
        load("hotqueue.messages.lua", "no-such")


def test_a_blocking_connection_waits_and_is_used_again(store: Store, key: str) -> None:
    waiting = store.blocking(key, 1)
    assert waiting.call("BLPOP", key, 0.01) is None
    waiting.send("BLPOP", key, 1)
    store.command(key, "RPUSH", key, "a")
    assert waiting.receive() == [key.encode(), b"a"]
    assert waiting.is_connected
    waiting.close()
    assert not waiting.is_connected


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.servers("cluster")
def test_a_slot_of_which_no_node_is_known_is_looked_for_again(store: Store, key: str) -> None:
    for attempt in (lambda: store.pool.take(key)[1].disconnect(), lambda: store.blocking(key, 1.0).send("PING")):
        store.client().nodes_manager.slots_cache.clear()
        with pytest.raises(ConnectionFailed, match="is not covered") as raised:
            attempt()
        assert not raised.value.sent
        assert store.command(key, "LLEN", key) == 0


def test_nothing_was_sent_to_a_server_that_is_not_there() -> None:
    with pytest.raises(ConnectionFailed, match=SAYS_REFUSED) as info:
        Store(parse(NOBODY)).command("k", "GET", "k")
    assert (info.value.sent, info.value.retry) == (False, True)


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


def test_an_idle_connection_that_was_closed_is_replaced_before_anything_is_risked(
    start_redis: Callable[..., RedisServer],
) -> None:
    server = start_redis()
    store = Store(parse(server.url))
    waiting = store.blocking("k", 1)
    assert waiting.call("PING") == b"PONG"
    for use in (lambda: store.command("k", "INCR", "k"), lambda: waiting.call("INCR", "k")):
        store.command("k", "INCR", "k")
        server.kill()
        server.start()
        assert use() == 1  # not retried: it never failed
    waiting.close()
    store.close()


def test_a_server_that_stops_answering_is_given_up(start_redis: Callable[..., RedisServer], monkeypatch: Any) -> None:
    monkeypatch.setattr("hotqueue.store.patience.COMMAND_TIMEOUT", 0.3)
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


def test_an_asyncio_command_that_gets_no_answer_is_an_error_not_none(
    start_redis: Callable[..., RedisServer], monkeypatch: Any
) -> None:
    monkeypatch.setattr("hotqueue.store.loop_client.COMMAND_TIMEOUT", 0.3)
    server = start_redis()

    async def use() -> None:
        store = Store(parse(server.url))
        await store.acommand("PING")
        server.pause()
        with pytest.raises(ConnectionFailed, match="is unknown") as info:
            await store.acommand("LPOP", "k")
        assert info.value.sent
        server.resume()
        assert await store.acommand("PING") in (b"PONG", True)
        await store.aclose()

    asyncio.run(use())


@pytest.mark.servers("server", "cluster")
def test_an_asyncio_connection_that_was_closed_under_us_is_replaced(store: Store, key: str) -> None:
    """asyncio of Python 3.12 and 3.13.0 raises a TypeError from its insides when something is written to a closed transport."""

    async def use() -> None:
        assert await store.acommand("RPUSH", key, 1) == 1
        line = store.loop_client()
        nodes = line.client.get_nodes() if store.is_cluster else []
        for connection in [*line._free, *(each for node in nodes for each in node._free)]:
            connection._writer.transport.abort()
        await asyncio.sleep(0)  # the transport ends
        assert await store.arepeat(lambda: store.acommand("LLEN", key)) == 1
        await store.aclose()

    asyncio.run(use())


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
    with pytest.raises(ConnectionFailed, match="read only replica") as info:
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


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_store_can_be_pickled(store: Store, key: str) -> None:
    again = pickle.loads(pickle.dumps(store))
    assert str(again) == str(store)
    store.command(key, "SET", key, "x", "EX", 60)
    assert again.command(key, "GET", key) == b"x"
    again.close()


@only_server
def test_threads_do_not_share_a_connection(store: Store, key: str) -> None:
    def count() -> None:
        for _ in range(200):
            store.command(key, "INCR", key)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.command(key, "GETDEL", key) == b"1600"
