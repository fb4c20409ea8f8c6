"""The values of many tasks: all of them in order, the first error of all, and what tasks that yield have returned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator

import pytest

from hotqueue import HotQueue, ResultTimeout, TaskRevoked
from hotqueue.tasks import group
from tests.tasks import sample
from tests.tasks.working import in_background, work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_many_results_are_waited_for_together(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(100))
    worker = in_background(queue)
    assert results.get(timeout=30) == [n * n for n in range(100)]
    worker.join()
    assert (results.ready(), results.successful()) == (True, True)
    assert sorted(r.get() for r in results[:3]) == [0, 1, 4]


@only_server
def test_the_first_error_in_order_is_raised_for_a_set(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.raise_it).map([ValueError("one"), OSError("two")])
    work(queue)
    with pytest.raises(ValueError, match="one"):
        results.get(timeout=30)
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
    assert returned.get(timeout=30) == [1, 2]

    async def awaited() -> list[None]:
        assert await streamed.aget(timeout=30) == [None, None]
        return await streamed

    assert asyncio.run(awaited()) == [None, None]


@only_server
@pytest.mark.parametrize("text", ["small", "large" * 20_000], ids=["small", "large"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "asyncio"])
def test_an_error_is_raised_though_others_have_not_ended(make_queue: MakeQueue, asynchronous: bool, text: str) -> None:
    """They are scheduled for later than anybody would wait."""
    queue = make_queue()
    later = queue.task(name="square")(sample.square).s(2).set(countdown=3600)
    results = group(later, queue.task(name="fails")(sample.raise_it).s(ValueError(text)), later.clone()).delay()
    worker = in_background(queue)
    with pytest.raises(ValueError, match=text):
        asyncio.run(results.aget(timeout=60)) if asynchronous else results.get(timeout=60)
    worker.join()
    with pytest.raises(ResultTimeout):
        results.get(timeout=0.01, propagate=False)
    assert results[0].revoke() == "revoked"
    with pytest.raises(TaskRevoked):
        asyncio.run(results[::2].aget(timeout=60)) if asynchronous else results[::2].get(timeout=60)
    assert [type(error) for error in results[:2].get(timeout=5, propagate=False)] == [TaskRevoked, ValueError]
    queue.discard_dead(all=True)
    queue.purge()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["thread", "asyncio"])
def test_so_is_one_of_a_group_in_another_queue_than_what_has_not_ended(
    make_queue: MakeQueue, queue_name: str, asynchronous: bool
) -> None:
    first, second = make_queue(queue_name), make_queue(f"{queue_name}-2")
    square, fails = first.task(name="square")(sample.square), second.task(name="fails")(sample.raise_it)
    ignored = second.task(name="ignored", ignore_result=True)(sample.square)
    results = group(square.s(2).set(countdown=3600), ignored.s(1), fails.s(ValueError("of the second"))).delay()
    worker = in_background(second)
    with pytest.raises(ValueError, match="of the second"):
        asyncio.run(results.aget(timeout=60)) if asynchronous else results.get(timeout=60)
    worker.join()
    with pytest.raises(ResultTimeout):
        asyncio.run(results[:2].aget(timeout=0.2)) if asynchronous else results[:2].get(timeout=0.2)
    results.revoke()
    second.discard_dead(all=True)


@only_server
def test_an_error_that_is_known_is_raised_before_anything_is_waited_for(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(2))
    results[1].revoke()
    assert isinstance(results[1].get(timeout=5, propagate=False), TaskRevoked)
    for _ in range(2):
        with pytest.raises(TaskRevoked):
            results.get()
        with pytest.raises(TaskRevoked):
            asyncio.run(results.aget())
    results.revoke()
