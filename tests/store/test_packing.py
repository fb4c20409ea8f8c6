"""Script calls whose constant part is packed once: the same bytes as redis-py's, and the same errors as of `Store.run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.connection import Connection

from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.store.packing import COPIED, PackedCall, PackedKeys, command
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.stores import NOBODY, script

ADD = script("return redis.call('SADD', KEYS[1], KEYS[2], ARGV[1])")
ADDED_FIRST = script("return redis.call('SADD', KEYS[2], ARGV[1])")


@pytest.mark.parametrize("more", [(), (b"{k}:2",), (b"{k}:2", b"")])
@pytest.mark.parametrize("args", [(), (b"a",), (b"\r\n", b"x" * 2 * COPIED, "\u00fc".encode())])
def test_the_bytes_are_those_of_redis_py(more: tuple[bytes, ...], args: tuple[bytes, ...]) -> None:
    packed, keys = PackedKeys(ADD, [b"{k}:1"]), [b"{k}:1", *more]
    wanted = b"".join(Connection().pack_command("EVALSHA", ADD.sha, len(keys), *keys, *args))
    for _ in range(2):  # the second time, the head is known
        assert packed.call(more, args) == wanted
        assert b"".join(packed.parts(more, args)) == wanted


def test_what_is_large_is_not_copied() -> None:
    large = b"x" * COPIED
    assert any(part is large for part in PackedKeys(ADD, [b"k"]).parts((), (b"a", large, b"b")))


def test_a_command_is_packed_as_by_redis_py() -> None:
    assert command(b"BLPOP", b"k", b"0.5") == b"".join(Connection().pack_command("BLPOP", "k", "0.5"))


def test_it_answers_on_every_kind_of_server(store: Store, key: str) -> None:
    call = PackedCall(store, ADDED_FIRST, [f"{{{key}}}:1".encode()], "adding")
    assert [call(f"{{{key}}}:2".encode(), value) for value in (b"a", b"a", b"b")] == [True, False, True]

    async def use() -> list[bool]:
        try:
            return [await call.acall(f"{{{key}}}:2".encode(), value) for value in (b"b", b"c")]
        finally:
            await store.aclose()

    assert asyncio.run(use()) == [False, True]
    store.command(f"{{{key}}}:2", "DEL", f"{{{key}}}:2")


def test_any_other_answer_is_understood(start_redis: Callable[..., RedisServer]) -> None:
    store = Store(parse(start_redis().url))
    call = PackedCall(store, ADDED_FIRST, [b"a"], "adding")
    store.command("b", "SET", "b", "x")
    with pytest.raises(ConfigError, match=r"adding \(b holds a string|adding at .* WRONGTYPE"):
        call(b"b", b"1")
    assert call(b"c", b"1")  # by the same connection
    store.close()


@pytest.mark.servers("server")
def test_a_lost_reply_is_asked_for_again(store_url: str, key: str) -> None:
    proxy = Proxy(store_url)
    store = Store(parse(proxy.url))
    call = PackedCall(store, ADDED_FIRST, [key.encode()], "adding")
    assert call(key.encode(), b"warm")
    proxy.lose_reply(b"EVALSHA")
    assert not call(key.encode(), b"one")  # it had been added
    assert store.command(key, "SCARD", key) == 2
    store.command(key, "DEL", key)
    store.close()
    proxy.close()


def test_nobody_there_is_an_error_when_patience_ends() -> None:
    store = Store(parse(NOBODY))
    store.patience = 0.2
    with pytest.raises(ConnectionFailed, match="nothing was sent"):
        PackedCall(store, ADDED_FIRST, [b"a"], "adding")(b"b", b"1")
