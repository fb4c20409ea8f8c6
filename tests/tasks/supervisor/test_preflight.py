"""Whether a server is fit to keep tasks: what is dangerous about it is logged, what cannot be worked at is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from hotqueue.errors import ConfigError
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.supervisor.preflight import check_queues, check_server
from tests.support.servers import RedisServer


def store_at(url: str) -> Store:
    return Store(resolve(url=url))


def test_a_server_that_may_lose_tasks_is_named(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    store = store_at(server.url)
    server.client().config_set("appendonly", "no")
    server.client().config_set("maxmemory-policy", "allkeys-lru")
    found = dict(check_server(store))
    assert found.keys() == {logging.ERROR, logging.WARNING}
    assert "its maxmemory-policy is allkeys-lru; set it to noeviction" in found[logging.ERROR]
    assert "its appendonly is no; set it to yes" in found[logging.WARNING]
    server.client().config_set("maxmemory-policy", "noeviction")
    assert [level for level, _ in check_server(store)] == [logging.WARNING]
    store.close()


def test_one_queue_that_is_named_in_two_ways_is_refused(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    stores = [store_at(server.url), store_at(server.url.replace("127.0.0.1", "localhost"))]
    assert check_queues([("a", stores[0]), ("b", stores[1])]) is None
    refused = check_queues([("a", stores[0]), ("a", stores[1])])
    assert isinstance(refused, ConfigError)
    assert "queue 'a' is defined at" in str(refused)
    for store in stores:
        store.close()


def test_of_several_servers_one_that_is_away_is_only_logged(
    start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    servers = [start_redis(), start_redis()]
    stores = [store_at(server.url) for server in servers]
    servers[1].kill()
    assert check_queues([("a", stores[0]), ("b", stores[1])]) is None
    assert "the queues there wait for it (b), the others begin" in caplog.text
    for store in stores:
        store.close()
