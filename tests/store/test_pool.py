"""Connections of a process: none is risked that may be closed, none is shared, and what failed is looked for again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.store.connection import is_open
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

only_server = pytest.mark.servers("server")


@pytest.mark.servers("cluster")
def test_a_slot_of_which_no_node_is_known_is_looked_for_again(store: Store, key: str) -> None:
    for attempt in (lambda: store.pool.take(key)[1].disconnect(), lambda: store.blocking(key, 1.0).send("PING")):
        store.client().nodes_manager.slots_cache.clear()
        with pytest.raises(ConnectionFailed, match="is not covered") as raised:
            attempt()
        assert not raised.value.sent
        assert store.command(key, "LLEN", key) == 0


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


@only_server
def test_where_no_answer_came_no_other_connection_of_then_is_waited_for(proxy: Proxy, key: str) -> None:
    store = Store(parse(proxy.url))
    lent = [store.pool.take(key) for _ in range(4)]
    for idle, connection in lent:
        store.pool.connect(connection)
        idle.put(connection)
    proxy.fall_silent()
    proxy.speak()  # for connections to come
    with pytest.raises(ConnectionFailed, match="Timeout"), store.limited(1):
        store.command(key, "PING")
    assert [store.command(key, "PING") for _ in range(6)] == [b"PONG"] * 6
    assert len(wait_until(lambda: proxy.swallowed)) == 1
    store.close()


@pytest.mark.servers("cluster")
def test_where_a_node_gives_no_answer_those_to_others_stay_open(store: Store, key: str) -> None:
    store.command(key, "PING")  # the layout is known
    other = next(each for each in (f"{key}-{n}" for n in range(1000)) if store.place_of(each) != store.place_of(key))
    there = store.command(other, "CLIENT", "ID")
    lent = [store.pool.take(key) for _ in range(2)]
    for idle, connection in lent:
        if not is_open(connection):
            store.pool.connect(connection)
        idle.put(connection)
    here = store.command(key, "CLIENT", "ID")
    with pytest.raises(ConnectionFailed, match="Timeout"), store.limited(0.2):
        store.command(key, "BLPOP", key, 2)
    assert store.command(other, "CLIENT", "ID") == there
    assert store.command(key, "CLIENT", "ID") > here


@pytest.mark.servers("cluster")
def test_of_a_cluster_it_is_said_which_node_cannot_be_reached(store: Store, key: str) -> None:
    store.command(key, "PING")
    _, connection = store.pool.take(key)
    connection.disconnect()
    connection.port = 1
    with pytest.raises(ConnectionFailed, match=r"^connecting to 127\.0\.0\.1:1 at redis\+cluster://.* failed: [^.:]*refused; "):
        store.pool.connect(connection)
    assert store.command(key, "PING") == b"PONG"
