"""Whoever stops waiting for results, in whatever way, costs nothing from then on; whoever waits for the same goes on.

Of the kind: `as_completed` left by break, by an exception, closed, or collected with its generator; a `get` that timed out;
a coroutine that was cancelled or timed out; each of one result and of many; a future that was dropped. In the process, nobody
asks for them; at the server, a registration lives as long as its task, and what comes of it for one minute, bounded in bytes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from hotqueue.tasks import ResultSet
from hotqueue.tasks.client.replies import Replies
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room, sync

IDS = [f"t{n}" for n in range(500)]


class Alone:
    """A queue with 500 tasks that nobody runs, on a server where nobody else sends anything."""

    def __init__(self, room: Room, spare: RedisServer) -> None:
        room.fill({"tasks": dict.fromkeys(IDS, sync()), "ready": dict.fromkeys(IDS, 1)})
        self.room, self.client = room, spare.client()
        self.results = ResultSet([room.queue.result(task_id) for task_id in IDS])
        self.replies: Replies = room.queue._tasks.replies(room.queue.name)

    def finish(self, task_id: str) -> None:
        assert self.room.broker.revoke(task_id, b"", 60_000) == "revoked"

    def commands(self) -> int:
        """Return how many commands the server has carried out, those of scripts included, but for this one."""
        found = self.client.info("commandstats")
        return sum(told["calls"] for name, told in found.items() if name not in ("cmdstat_info", "cmdstat_config|resetstat"))

    def becomes_quiet(self) -> None:
        """Wait for a second and a half without a command: longer than any wait, and than the first pause between questions."""
        since, last = time.monotonic(), self.commands()

        def is_quiet() -> bool:
            nonlocal since, last
            if (now := self.commands()) != last:
                since, last = time.monotonic(), now
            return time.monotonic() - since > 1.5

        wait_until(is_quiet, what="a second and a half without a command")


@pytest.fixture
def alone(start_redis: Callable[..., RedisServer], make_queue: Callable[..., Any], request: pytest.FixtureRequest) -> Alone:
    server = start_redis()
    return Alone(Room(make_queue(url=server.url)), server)


def begun(alone: Alone) -> Any:
    """Return `as_completed` with its first result taken."""
    ended = alone.results.as_completed()
    alone.finish("t0")
    assert next(ended).id == "t0"
    return ended


def breaks(alone: Alone) -> None:
    alone.finish("t0")
    for result in alone.results.as_completed():
        assert result.id == "t0"
        break


def raises(alone: Alone) -> None:
    alone.finish("t0")
    try:
        for result in alone.results.as_completed():
            raise KeyError(result.id)
    except KeyError:
        pass


def is_closed(alone: Alone) -> None:
    begun(alone).close()


def is_collected(alone: Alone) -> None:
    ended = begun(alone)
    around = [ended]
    around.append(around)
    del ended, around
    gc.collect()


def completing_times_out(alone: Alone) -> None:
    with pytest.raises(ResultTimeout):
        list(alone.results.as_completed(timeout=0.1))


def get_times_out(alone: Alone) -> None:
    for waiting in (alone.results, alone.results[0]):
        with pytest.raises(ResultTimeout):
            waiting.get(timeout=0.1)


def awaiting_ends(alone: Alone) -> None:
    async def main() -> None:
        for waiting in (alone.results, alone.results[0]):
            with pytest.raises(ResultTimeout):
                await waiting.aget(timeout=0.1)
            task = asyncio.ensure_future(waiting.aget())
            while not alone.replies._watches.has_callbacks:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await alone.room.queue.aclose()

    asyncio.run(main())


def futures_are_dropped(alone: Alone) -> None:
    futures = [result.as_future() for result in alone.results]
    alone.finish("t0")
    assert futures[0].result(10) is None
    del futures
    gc.collect()


WAYS = [breaks, raises, is_closed, is_collected, completing_times_out, get_times_out, awaiting_ends, futures_are_dropped]


@pytest.mark.servers("server")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whoever_does_not_wait_any_more_sends_nothing(alone: Alone, way: Callable[[Alone], None]) -> None:
    way(alone)
    assert not alone.replies._watches.has_callbacks
    assert len(alone.replies._watches.tasks) == 0
    alone.becomes_quiet()


@pytest.mark.servers("server")
def test_whoever_waits_for_the_same_goes_on(alone: Alone) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(alone.results[7].get(timeout=30)))
    thread.start()
    future = alone.results[8].as_future()
    wait_until(lambda: "t7" in alone.room["waiters"] and "t8" in alone.room["waiters"])
    breaks(alone)
    alone.finish("t7")
    alone.finish("t8")
    thread.join()
    assert (found, future.result(10)) == ([None], None)


@pytest.mark.servers("server")
def test_as_completed_goes_on_in_a_forked_process(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    ended = square.map(range(5)).as_completed(timeout=30)
    queue.run_worker(burst=True, max_tasks=2)
    first = next(ended).get()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            queue.run_worker(burst=True)
            os.write(write, repr(sorted([first, *(result.get() for result in ended)])).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b"[0, 1, 4, 9, 16]"
    os.waitpid(pid, 0)
    assert sorted([first, *(result.get() for result in ended)]) == [0, 1, 4, 9, 16]
