"""Streams inside `queue.testing()`: kept and read as in the store, and in time for whoever reads after `delay`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError, StreamRestarted
from hotqueue.tasks import current_task

pytestmark = pytest.mark.timeout(30)
queue = HotQueue("streams", host="127.0.0.1", port=1, secret_key="a key")


@queue.task
def count(n: int) -> Iterator[Any]:
    for i in range(n):
        yield [i]
    return "counted"


@queue.task(stream_max=3)
async def acount(n: int) -> AsyncIterator[Any]:
    for i in range(n):
        yield i


@queue.task(retries=1, retry_backoff=0)
def again() -> Iterator[Any]:
    yield current_task.request.retries
    if current_task.request.retries == 0:
        raise OSError("once")


@queue.task(retries=1, retry_backoff=0, stream_deterministic=True)
def steady() -> Iterator[Any]:
    yield current_task.request.retries
    if current_task.request.retries == 0:
        raise OSError("once")
    yield "end"


def test_a_stream_is_there_when_the_call_returns() -> None:
    with queue.testing():
        result = count.delay(3)
        stream = result.stream()
        assert (list(stream), stream.value, result.get()) == ([[0], [1], [2]], "counted", "counted")
        assert list(result.stream(2)) == [[2]]
        result.forget()


def test_no_more_is_kept_than_is_to_be_and_asyncio_reads_it() -> None:
    async def main() -> list[Any]:
        result = await acount.adelay(10)
        return [item async for item in result.astream()]

    with queue.testing():
        assert asyncio.run(main()) == [7, 8, 9]


def test_a_retry_begins_anew_or_goes_on() -> None:
    with queue.testing():
        result = again.delay()
        assert list(result.stream()) == [1]
        with pytest.raises(StreamRestarted):
            next(result.stream(1, attempt=1))
        assert list(steady.delay().stream()) == [0, "end"]


def test_what_waits_is_waited_for() -> None:
    with queue.testing():
        queue.pause()
        result = count.delay(1)
        with pytest.raises(TimeoutError):
            next(result.stream(timeout=0.02))
        queue.resume()
        assert list(result.stream(timeout=30)) == [[0]]


def test_an_item_that_cannot_travel_is_refused_as_by_a_worker() -> None:
    @queue.task
    def locks() -> Iterator[Any]:
        yield 1
        try:
            yield threading.Lock()
        except SerializationError:
            yield 2
        yield threading.Lock()

    with queue.testing():
        result = locks.delay()
        stream = result.stream()
        assert [next(stream), next(stream)] == [1, 2]
        with pytest.raises(SerializationError, match="locks yielded an item, number 2, that cannot be stored: lock cannot be p"):
            next(stream)
        with pytest.raises(SerializationError):
            result.get()
