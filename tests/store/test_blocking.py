"""A connection of one thread's own, for commands that block."""

from __future__ import annotations

import pytest

from hotqueue.errors import ConfigError
from hotqueue.store.packing import command
from hotqueue.store.store import Store


def test_a_blocking_connection_waits_and_is_used_again(store: Store, key: str) -> None:
    waiting = store.blocking(key, 1)
    assert waiting.call("BLPOP", key, 0.01) is None
    waiting.send("BLPOP", key, 1)
    store.command(key, "RPUSH", key, "a")
    assert waiting.receive() == [key.encode(), b"a"]
    assert waiting.is_connected
    waiting.close()
    assert not waiting.is_connected


def test_several_commands_are_answered_in_one_trip_and_none_of_a_broken_one_is_left(store: Store, key: str) -> None:
    waiting = store.blocking(key, 1)
    name = key.encode()
    assert waiting.exchange(command(b"RPUSH", name, b"a") + command(b"BLPOP", name, b"1"), 2) == [1, [name, b"a"]]
    assert waiting.is_connected
    with pytest.raises(ConfigError):
        waiting.exchange(command(b"INCRBY", name, b"x") + command(b"LLEN", name) + command(b"GET", name), 3)
    assert not waiting.is_connected, "the replies to the others are nobody's"
    assert waiting.exchange(command(b"LLEN", name), 1) == [0]
    waiting.close()
