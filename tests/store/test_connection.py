"""One connection: found closed before anything is risked on it; large commands, whole and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.exceptions as rx

from hotqueue.sizes import LARGE
from hotqueue.store.connection import (
    COPIED,
    MANY,
    await_reply,
    is_open,
    is_stale,
    new_connection,
    packed,
    packed_at_once,
    send,
    set_timeout,
    size_of,
    with_size,
)
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis("--proto-max-bulk-len", "64mb")


@pytest.fixture
def connection(server: RedisServer) -> Iterator[Any]:
    made = new_connection(redis.Redis.from_url(server.url).connection_pool, 5.0)
    made.connect()
    yield made
    made.disconnect()


def ask(connection: Any, *args: Any) -> Any:
    """Exchange a command for its reply."""
    if size := send(connection, packed(connection, args)):
        await_reply(connection, size)
    return connection.read_response()


def test_one_that_the_server_closed_is_stale(server: RedisServer, connection: Any) -> None:
    assert (is_open(connection), is_stale(connection)) == (True, False)
    number = ask(connection, "CLIENT", "ID")
    with server.client() as other:
        other.client_kill_filter(_id=number)
    wait_until(lambda: is_stale(connection))
    assert not is_open(connection)


def test_so_is_one_with_bytes_that_nobody_asked_for(connection: Any) -> None:
    send(connection, packed(connection, ("PING",)))
    wait_until(lambda: is_stale(connection))
    assert not is_open(connection)


@pytest.mark.parametrize("length", [1, LARGE, 3 * LARGE + 1])
def test_what_is_sent_comes_back_however_large(connection: Any, length: int) -> None:
    value = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    assert ask(connection, "SET", "k", value) == b"OK"
    assert ask(connection, "GET", "k") == value


def test_a_refusal_in_the_middle_of_something_large_is_heard(connection: Any) -> None:
    with pytest.raises(rx.ResponseError, match="invalid bulk length"):
        ask(connection, "SET", "k", b"x" * (65 << 20))
    assert not is_open(connection)


def test_many_arguments_are_packed_as_by_redis_py(connection: Any) -> None:
    args = ["SADD", "k\u00fc", b"", "", b"\r\n$1", 0, -7, 10**16, *map(str, range(MANY))]
    whole = b"".join(connection.pack_command(*args))
    assert packed_at_once(connection, args) == whole == b"".join(packed(connection, args))
    assert ask(connection, *args) == MANY + 4  # one is there twice, and one among the numbers


@pytest.mark.parametrize("arg", [1.5, True, memoryview(b"x"), b"x" * (COPIED + 1)])
def test_what_is_large_or_of_another_type_is_left_to_redis_py(connection: Any, arg: Any) -> None:
    assert packed_at_once(connection, ["SADD", "k", arg]) is None
    if arg is not True:  # which it refuses
        assert b"".join(packed(connection, ["SADD", *"k" * MANY, arg])) == b"".join(
            connection.pack_command("SADD", *"k" * MANY, arg)
        )


def test_a_name_that_is_not_utf_8_can_be_sent(connection: Any) -> None:
    assert ask(connection, "SET", "k\udcff", "v") == b"OK"
    assert ask(connection, "GET", b"k\xff") == b"v"
    many = [f"{n}\udcff" for n in range(MANY)]
    assert (ask(connection, "SADD", "many", *many), ask(connection, "SISMEMBER", "many", b"7\xff")) == (MANY, 1)


def test_a_timeout_holds_for_what_is_read_next(connection: Any) -> None:
    set_timeout(connection, 0.05)
    with pytest.raises((rx.TimeoutError, TimeoutError)):
        ask(connection, "BLPOP", "k", 5)


def test_an_error_names_the_size_of_what_was_sent() -> None:
    assert size_of(("SET", b"12345", 6)) == 8
    assert with_size("putting", ("SET", b"12345")) == "putting"
    assert with_size("putting", ("SET", b"x" * LARGE)).startswith("putting (")
