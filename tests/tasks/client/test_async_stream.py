"""Streams in asyncio: what test_stream.py says of threads, as far as it is another way there."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from hotqueue import HotQueue, ResultTimeout, StreamRestarted
from hotqueue.errors import TaskRevoked
from hotqueue.tasks import current_task
from tests.support.waiting import await_until
from tests.tasks import sample
from tests.tasks.working import in_background, stream_readers

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def count(n: int) -> Iterator[int]:
    yield from range(n)
    return n


async def agated(n: int) -> AsyncIterator[int]:
    for i in range(n):
        if i == 2:
            await asyncio.to_thread(sample.go_on.wait, 20)
        yield i
    if current_task.request.retries == 0 and n == 3:
        raise OSError("once")


def test_items_come_in_order(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="count")(count)

    async def main() -> None:
        result = await task.adelay(1500)
        worker = in_background(queue)
        stream = result.astream(timeout=30)
        assert [item async for item in stream] == list(range(1500))
        assert stream.value == 1500
        assert [item async for item in result.astream(1400, 5)] == list(range(1400, 1500))
        await asyncio.to_thread(worker.join)
        await queue.aclose()

    asyncio.run(main())


@only_server
def test_one_that_nobody_reads_any_more_holds_its_task_up_no_more(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="agated")(agated)

    async def main() -> None:
        result = await task.adelay(4)
        worker = in_background(queue)
        client = queue._store.client()
        async for item in (stream := result.astream(timeout=30, backpressure=True)):
            if item == 1:
                break
        assert len(stream_readers(client, result)) == 1
        del stream
        gc.collect()
        await await_until(lambda: not stream_readers(client, result))
        sample.go_on.set()
        await asyncio.to_thread(worker.join)
        await queue.aclose()

    asyncio.run(main())


@only_server
def test_a_restart_and_a_timeout_are_told_and_it_goes_on(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="agated", retries=1, retry_backoff=0.01)(agated)

    async def main() -> None:
        result = await task.adelay(3)
        worker = in_background(queue)
        stream = result.astream(timeout=30)
        assert [await anext(stream), await anext(stream)] == [0, 1]
        with pytest.raises(ResultTimeout):
            await anext(result.astream(2, timeout=0.05))
        sample.go_on.set()
        found = [await anext(stream)]
        with pytest.raises(StreamRestarted):
            await anext(stream)
        assert found + [item async for item in stream] == [2, 0, 1, 2]
        await asyncio.to_thread(worker.join)
        await queue.aclose()

    asyncio.run(main())


@only_server
def test_it_ends_with_a_task_that_is_revoked_and_who_leaves_is_forgotten(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="count")(count)

    async def main() -> None:
        result = await task.adelay(3)
        left = result.astream()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(left), 0.1)
        other = asyncio.ensure_future(anext(result.astream()))
        watches = result._handle.replies._watches
        await await_until(lambda: bool(watches.tasks))
        result.revoke()
        with pytest.raises(TaskRevoked):
            await other
        del left
        gc.collect()
        assert not watches.tasks
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        await queue.aclose()

    asyncio.run(main())
