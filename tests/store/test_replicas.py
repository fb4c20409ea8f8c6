"""A master that becomes a replica behind one address: its connections are left, however what it refuses is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue.store import pipeline
from hotqueue.store.packing import PackedCall, PackedKeys
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.stores import script

PUSH = script("return redis.call('RPUSH', KEYS[#KEYS], ARGV[1]) and 1")
PACKED = PackedKeys(PUSH, [b"k"])


def _all_or_raise(answers: list[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


WAYS: dict[str, Callable[[Store], object]] = {
    "a command": lambda store: store.command("k", "RPUSH", "k", "a"),
    "a script": lambda store: store.run(PUSH, ["k"], [b"a"], "pushing"),
    "a packed call": lambda store: PackedCall(store, PUSH, [b"k"], "pushing")(b"k", b"a"),
    "a script, its reply later": lambda store: store.send(PUSH, [b"k"], [b"a"], "pushing", [PACKED.call([], [b"a"])]).receive(),
    "a script for many": lambda store: _all_or_raise(pipeline.run_all(store, PUSH, [(["k"], [b"a"])] * 3, "pushing")),
    "commands in one trip": lambda store: _all_or_raise(pipeline.ask_all(store, [("RPUSH", "k", "a")] * 3, "pushing")),
}


class Swap:
    """Two servers, the second a copy of the first, and an address that leads to one of them."""

    def __init__(self, start_redis: Callable[..., RedisServer]) -> None:
        self.old, self.new = start_redis(), start_redis()
        self._proxy = Proxy(self.old.url)
        self.store = Store(parse(self._proxy.url))

    def swap(self) -> None:
        """Make the second one the master, and have the address lead there; connections to the first stay open."""
        self.old.client().replicaof("127.0.0.1", self.new.port)
        self._proxy.target = ("127.0.0.1", self.new.port)

    def close(self) -> None:
        self.store.close()
        self._proxy.close()


@pytest.fixture
def servers_that_swap(start_redis: Callable[..., RedisServer]) -> Iterator[Swap]:
    """A `Swap`, closed at the end."""
    made = Swap(start_redis)
    yield made
    made.close()


@pytest.mark.parametrize("way", WAYS)
def test_the_connection_to_a_replica_is_left(servers_that_swap: Swap, way: str) -> None:
    store, push = servers_that_swap.store, WAYS[way]
    push(store)
    servers_that_swap.swap()
    tries = 0

    def counted() -> object:
        nonlocal tries
        tries += 1
        return push(store)

    store.repeat(counted)
    assert tries <= 2  # by the connection that was open, and by a new one
    assert servers_that_swap.new.client().llen("k") > 0


def test_a_loop_leaves_the_connection_to_a_replica(servers_that_swap: Swap) -> None:
    store = servers_that_swap.store

    tries = 0

    async def push() -> object:
        nonlocal tries
        tries += 1
        return await store.arun(PUSH, ["k"], [b"a"], "pushing")

    async def use() -> None:
        await push()
        servers_that_swap.swap()
        await store.arepeat(push)
        await store.aclose()

    asyncio.run(use())
    assert tries <= 3  # before; by the connection that was open, and by a new one
    assert servers_that_swap.new.client().llen("k") == 1
