"""redis-py clients of an address: none retries, whatever the caller's own would; and what of a caller's client can travel."""

from __future__ import annotations

import asyncio
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from hotqueue.errors import ConfigError
from hotqueue.store import clients
from hotqueue.store.resolve import resolve
from hotqueue.store.timeouts import COMMAND_TIMEOUT, CONNECT_TIMEOUT
from hotqueue.store.url import parse


def settings_of(client: Any) -> dict[str, Any]:
    return dict(client.connection_pool.connection_kwargs)


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://u:p@h", "unix:///s", "redis+sentinel://h1,h2/master/3"])
def test_a_client_of_ours_never_retries_and_has_timeouts(url: str) -> None:
    found = settings_of(clients.build(parse(url), None))
    assert found["socket_timeout"] == COMMAND_TIMEOUT
    assert found.get("socket_connect_timeout", CONNECT_TIMEOUT) == CONNECT_TIMEOUT  # a unix socket has none
    assert found["retry"]._retries == 0
    assert not found["decode_responses"]
    assert found["protocol"] == 2


def test_nor_does_one_made_from_a_callers() -> None:
    own = redis.Redis(host="h", port=1, db=3, decode_responses=True, retry=Retry(ConstantBackoff(1), 5), socket_timeout=99)
    found = settings_of(clients.build(resolve(client=own), None))
    assert (found["host"], found["port"], found["db"]) == ("h", 1, 3)
    assert (found["socket_timeout"], found["decode_responses"], found["retry"]._retries) == (COMMAND_TIMEOUT, False, 0)
    assert settings_of(own)["socket_timeout"] == 99  # which stays as it is


def test_an_asyncio_client_has_no_socket_timeout() -> None:
    async def settings() -> dict[str, Any]:
        return settings_of(clients.build_async(parse("redis://h:1/2"), None))

    assert asyncio.run(settings())["socket_timeout"] is None


def test_what_a_callers_client_says_can_be_pickled() -> None:
    own = redis.Redis(host="h", port=1, db=3, password="p", ssl=True, ssl_ca_certs="ca.pem")
    address = pickle.loads(pickle.dumps(clients.portable(own)))
    assert address.kind == "server"
    assert {
        "host": "h",
        "port": 1,
        "db": 3,
        "password": "p",
        "ssl": True,
        "ssl_ca_certs": "ca.pem",
    }.items() <= address.options.items()


def test_what_lives_in_this_process_only_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot leave this process: its username is <object"):
        clients.portable(redis.Redis(username=object()))  # type: ignore[arg-type]


def test_a_cluster_has_one_database() -> None:
    with pytest.raises(ConfigError, match="only database 0, not 3"):
        clients.build(resolve(url="redis+cluster://h:1", options={"db": 3}), None)


def test_a_node_that_failed_is_not_asked_for_the_layout_while_there_are_others() -> None:
    nodes = SimpleNamespace(startup_nodes={name: redis.cluster.ClusterNode(name, 1) for name in ("a", "b")})
    clients.ask_others_first(nodes, {("a", 1): float("inf")})
    assert list(nodes.startup_nodes) == ["b"]
    clients.ask_others_first(nodes, {("b", 1): float("inf")})
    assert list(nodes.startup_nodes) == ["b"]
    old = {("a", 1): -clients.DISTRUSTED}  # long before this process began
    clients.ask_others_first(nodes, old)
    assert old == {}
