"""Calls are made one after another, each reply sent back to who asked for the call; in threads and in asyncio alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.messages.calls import adrive, asend, drive, send
from hotqueue.messages.consumer import PACKAGE, Call, Steps
from hotqueue.store import scripts


def steps(queue: HotQueue) -> Steps:
    """Put two messages, look how many there are, and take one: by plain commands and by a script."""
    yield Call(scripts.load(PACKAGE, "put"), [queue.key], [10, "a", "b"], "putting")
    count = yield Call(None, [queue.key], ["LLEN", queue.key], "counting")
    raw = yield Call(None, [queue.key], ["LPOP", queue.key], "taking")
    return count, raw


def in_a_thread(queue: HotQueue) -> Any:
    return drive(steps(queue), lambda call: send(queue._store, call))


def in_asyncio(queue: HotQueue) -> Any:
    async def main() -> Any:
        try:
            return await adrive(steps(queue), lambda call: asend(queue._store, call))
        finally:
            await queue.aclose()

    return asyncio.run(main())


@pytest.mark.parametrize("way", [in_a_thread, in_asyncio])
def test_replies_go_to_who_asks_for_the_next_call(make_queue: Callable[..., HotQueue], way: Callable[[HotQueue], Any]) -> None:
    queue = make_queue()
    assert way(queue) == (2, b"a")
    assert queue._store.command(queue.key, "LLEN", queue.key) == 1


def test_an_error_of_a_call_ends_the_steps() -> None:
    made: list[Call] = []

    def fails(call: Call) -> None:
        made.append(call)
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        drive(steps(HotQueue("q", url="redis://127.0.0.1:1")), fails)
    assert [call.keys for call in made] == [[keys.queue("q")]]
