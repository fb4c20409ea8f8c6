"""A connection of one thread's own, for commands that block."""

from __future__ import annotations

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
