"""Waiting for what a task returned: as a coroutine, as a future, and of a task that yields. In threads: test_result.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import wait as wait_for_futures
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.working import work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_results_can_be_awaited(make_queue: MakeQueue) -> None:
    queue = make_queue()
    good, bad = queue.task(sample.square).map(range(10)), queue.task(sample.boom).delay()

    async def main() -> Any:
        try:
            waiting = asyncio.gather(good, good[3], asyncio.wrap_future(good[4].as_future()), bad.aget(propagate=False))
            await asyncio.gather(asyncio.to_thread(work, queue), waiting)
            with pytest.raises(OSError, match="boom"):
                await bad
            with pytest.raises(ResultTimeout):
                await queue.task(sample.square).apply_async((1,), countdown=60, task_id="late").aget(timeout=0.05)
            return waiting.result()
        finally:
            await queue.aclose()

    everything, one, future, error = asyncio.run(main())
    assert (everything, one, future, type(error)) == ([n * n for n in range(10)], 9, 16, OSError)
    queue.result("late").revoke()


@only_server
def test_futures_are_told(make_queue: MakeQueue) -> None:
    queue = make_queue()
    good, bad = queue.task(sample.square).delay(4).as_future(), queue.task(sample.boom).delay().as_future()
    assert not good.done()
    work(queue)
    wait_for_futures([good, bad], timeout=10)
    assert good.result(0) == 16
    assert isinstance(bad.exception(0), OSError)
    queue.discard_dead(all=True)


@only_server
def test_who_waits_after_a_long_silence_is_told_too(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotqueue.tasks.client.replies.IDLE", 0.01)
    queue = make_queue()
    replies = queue._tasks.replies(queue.name)
    for n in range(3):
        future = queue.task(sample.square).delay(n).as_future()
        work(queue)
        assert future.result(10) == n * n
        wait_until(lambda: replies._thread is None)


@only_server
def test_the_value_of_a_task_that_yields_is_what_its_generator_returns(make_queue: MakeQueue) -> None:
    queue = make_queue()

    def count(n: int) -> Iterator[int]:
        yield from range(n)
        return n

    result = queue.task(name="count")(count).delay(3)
    future = result.as_future()
    work(queue)
    assert (result.get(timeout=30), future.result(10)) == (3, 3)
