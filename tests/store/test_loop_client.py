"""The connections of one event loop: replaced when they were closed, given up when no answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.servers import RedisServer


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
