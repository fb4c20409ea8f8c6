"""Raw messages inside `queue.testing()`: kept in memory, taken and held as with a store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hotqueue import HotQueue, QueueFull, SerializationError

queue = HotQueue("in-place", host="127.0.0.1", port=1)


@pytest.fixture
def sandbox() -> Iterator[None]:
    with queue.testing():
        yield


@pytest.mark.usefixtures("sandbox")
def test_raw_messages_are_kept_in_memory() -> None:
    queue.put(1, [2], None)
    assert (len(queue), queue.get(), queue.get(block=True), queue.get(), queue.get()) == (3, 1, [2], None, None)
    assert queue.get(block=True, timeout=0.01) is None
    threading.Timer(0.01, lambda: queue.put("late")).start()
    assert queue.get(block=True, timeout=30) == "late"
    with pytest.raises(SerializationError, match="argument 1"):
        queue.put(threading.Lock())
    bounded = HotQueue("bounded", host="127.0.0.1", port=1, max_queue_length=1)
    with pytest.raises(QueueFull, match="holds 0 messages of at most 1: 2 more do not fit"):
        bounded.put(1, 2)


@pytest.mark.usefixtures("sandbox")
def test_raw_messages_are_consumed_in_memory() -> None:
    queue.put(1, 2, 3)
    for message in queue.consume(block=False):
        assert message == 1
        break
    for message in queue.consume(block=False, ack_on_break=True):
        assert message == 1
        break
    assert list(queue.consume(timeout=0.01)) == [2, 3]

    seen: list[int] = []

    @queue.worker(block=False)
    def fails(message: int) -> None:
        seen.append(message)
        raise OSError

    queue.put(7)
    for _ in range(5):
        with pytest.raises(OSError):  # noqa: PT011
            fails()
    assert (seen, len(queue)) == ([7] * 5, 0)


@pytest.mark.usefixtures("sandbox")
def test_raw_messages_in_asyncio() -> None:
    async def main() -> list[Any]:
        await queue.aput(1, 2)
        found = [await queue.aget(), await queue.aget(), await queue.aget(), await queue.aget(block=True, timeout=0.01)]
        waiting = asyncio.create_task(queue.aget(block=True))
        await asyncio.sleep(0)
        queue.put("late")
        found.append(await waiting)
        await queue.aput(3)
        return [*found, *[message async for message in queue.aconsume(block=False)]]

    assert asyncio.run(main()) == [1, 2, None, None, "late", 3]
