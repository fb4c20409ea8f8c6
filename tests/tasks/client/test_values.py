"""The values of many tasks: all of them in order, the first error of all, and what tasks that yield have returned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import group
from tests.tasks import sample
from tests.tasks.working import in_background, work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_many_results_are_waited_for_together(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(100))
    worker = in_background(queue)
    assert results.get(timeout=20) == [n * n for n in range(100)]
    worker.join()
    assert (results.ready(), results.successful()) == (True, True)
    assert sorted(r.get() for r in results[:3]) == [0, 1, 4]


@only_server
def test_the_first_error_in_order_is_raised_for_a_set(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.raise_it).map([ValueError("one"), OSError("two")])
    work(queue)
    with pytest.raises(ValueError, match="one"):
        results.get(timeout=5)
    assert [type(e) for e in results.get(timeout=5, propagate=False)] == [ValueError, OSError]
    assert not results.successful()
    queue.discard_dead(all=True)


@only_server
def test_tasks_that_yield_have_the_values_that_their_generators_return(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task
    def counted(n: int) -> Generator[str, None, int]:
        yield from "ab"
        return n

    @queue.task
    async def pages(n: int) -> AsyncIterator[int]:
        yield n

    returned, streamed = group(counted.s(1), counted.s(2)).delay(), pages.map(range(2))
    work(queue)
    assert returned.get(timeout=5) == [1, 2]

    async def awaited() -> list[None]:
        assert await streamed.aget(timeout=5) == [None, None]
        return await streamed

    assert asyncio.run(awaited()) == [None, None]
