"""What is enqueued inside of `queue.batch()` goes out at its end: in how many trips, and what comes of errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from hotqueue import ConfigError, HotQueue, keys
from hotqueue.tasks.client.batch import TRIP_BYTES, trips
from tests.support.proxy import Proxy
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_what_is_enqueued_inside_runs_once_it_ends(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square, other = queue.task(sample.square), queue.name + "-other"
    with queue.batch() as batch:
        results = [square.delay(n) for n in range(5)]
        results.append(square.apply_async((5,), countdown=0.01))
        results += square.map([6, 7])
        elsewhere = square.apply_async((8,), queue=other)
        assert (len(batch), queue.pending()) == (9, 0)
    assert (len(batch), queue.pending()) == (0, 8)
    queue.run_worker(burst=True)
    assert [r.get(30) for r in results] == [n * n for n in range(8)]
    elsewhere.revoke()


@only_server
def test_a_thousand_tasks_make_one_trip(make_queue: MakeQueue, store_url: str) -> None:
    proxy = Proxy(store_url)
    queue = make_queue(url=proxy.url)
    square = queue.task(sample.square)
    with queue.batch():
        square.delay(0)
        square.apply_async((1,), expires=60)  # connects, and brings the script to the server
    before = proxy.requests
    with queue.batch():
        for n in range(998):
            square.delay(n)
    assert (proxy.requests - before, queue.pending()) == (1, 1000)
    queue.clear()
    proxy.close()


def test_trips_are_bounded_by_count_and_by_bytes() -> None:
    def size(task: tuple[str, str, str, bytes]) -> int:
        return len(task[3])

    small = [("id", "", "", b"x")] * 2500
    assert [len(trip) for trip in trips(small, size)] == [1000, 1000, 500]
    large = [("id", "", "", b"x" * (TRIP_BYTES // 3))] * 8
    assert [len(trip) for trip in trips(large, size)] == [4, 4]
    assert list(trips([], size)) == []


@only_server
def test_a_block_that_raises_sends_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    with pytest.raises(ZeroDivisionError), queue.batch():
        square.delay(1 // (square.delay(1) is None))
    assert queue.pending() == 0
    square.delay(2)
    assert queue.pending() == 1


@only_server
def test_only_this_thread_and_this_queue_are_collected(make_queue: MakeQueue) -> None:
    queue, second = make_queue(), make_queue()
    square = queue.task(sample.square)
    with queue.batch() as batch:
        thread = threading.Thread(target=square.delay, args=(1,))
        thread.start()
        thread.join()
        assert (len(batch), second.pending()) == (0, 1)
        second.task(sample.square).delay(2)
        assert second.pending() == 2
        with second.batch() as inner:
            square.delay(3)
            assert (len(batch), len(inner)) == (1, 0)
    assert queue.pending() == 3


@only_server
def test_async_calls_are_collected(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)

    async def main() -> list[int]:
        async with queue.batch() as batch:
            results = [await square.adelay(n) for n in range(3)]
            assert len(batch) == 3
        await asyncio.to_thread(queue.run_worker, burst=True)
        found = [await result for result in results]
        await queue.aclose()
        return found

    assert asyncio.run(main()) == [0, 1, 4]


@only_server
def test_what_was_started_inside_and_outlives_the_block_is_not_lost(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)

    async def later(is_over: asyncio.Event) -> None:
        await is_over.wait()
        await square.adelay(2)

    async def main() -> None:
        is_over = asyncio.Event()
        async with queue.batch() as batch:
            late = asyncio.create_task(later(is_over))
            await asyncio.sleep(0)
            await asyncio.to_thread(square.delay, 1)  # a thread of its own adds to no batch of ours
            assert len(batch) == 0
        is_over.set()
        await late
        await queue.aclose()

    asyncio.run(main())
    assert queue.pending() == 2


@only_server
def test_one_batch_is_opened_once(make_queue: MakeQueue) -> None:
    batch = make_queue().batch()
    with batch, pytest.raises(RuntimeError, match="another"), batch:
        pass


@only_server
def test_what_could_not_be_sent_is_sent_again(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    client, seq = queue._store.client(), keys.seq(queue.name)
    client.rpush(seq, "not a number")
    with pytest.raises(ConfigError), queue.batch() as batch:
        results = square.map(range(3))
    assert (len(batch), queue.pending()) == (3, 0)
    client.delete(seq)
    batch.send()
    batch.send()
    assert (len(batch), queue.run_worker(burst=True), results.get(30)) == (0, 3, [0, 1, 4])
