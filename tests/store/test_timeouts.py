"""How long a call waits for a server that is not there, and where that is set: `patience=` of a queue.

Of this kind: a server that refuses, one that is silent (stopped), one that is nowhere; every call that a program waits for
(`delay`, `adelay`, `apply_async`, `map`, `put`, `len`, `get`); sync and asyncio; a value that is none. A worker waits anyway.
And that it is patience with a server alone: what a process does before it first waits for one, which may be busy itself, such as
importing redis or starting the embedded server, uses none of it up.
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from hotqueue import ConfigError, ConnectionFailed, HotQueue
from tests.support.durations import take_time
from tests.support.processes import run_python
from tests.support.servers import RedisServer
from tests.support.waiting import allowed

NOBODY = "redis://127.0.0.1:1/0"
SHORT = 0.4


def double(n: int) -> int:
    return 2 * n


async def leave(queue: HotQueue, call: Any) -> None:
    """Await a call, and close what its loop has opened."""
    try:
        await call
    finally:
        await queue.aclose()


CALLS: dict[str, Callable[[HotQueue], Any]] = {
    "delay": lambda queue: queue.task(double).delay(1),
    "adelay": lambda queue: asyncio.run(leave(queue, queue.task(double).adelay(1))),
    "apply_async": lambda queue: queue.task(double).apply_async((1,), countdown=1),
    "map": lambda queue: queue.task(double).map([1, 2]),
    "submit": lambda queue: queue.submit(double, 1),
    "put": lambda queue: queue.put(1),
    "aput": lambda queue: asyncio.run(leave(queue, queue.aput(1))),
    "len": len,
    "get": lambda queue: queue.get(),
    "state": lambda queue: queue.result("x").state,
    "consume": lambda queue: next(queue.consume(timeout=0.1)),
}


def seconds_of(queue: HotQueue, call: str) -> float:
    """Return how long a call took to raise ConnectionFailed."""
    began = time.monotonic()
    with pytest.raises(ConnectionFailed):
        CALLS[call](queue)
    return time.monotonic() - began


@pytest.mark.parametrize("call", CALLS)
def test_a_refused_call_is_repeated_so_long_and_no_longer(call: str) -> None:
    took = seconds_of(HotQueue("q", url=NOBODY, patience=SHORT), call)
    assert 0.1 < took < allowed(1.5)


@pytest.mark.parametrize("call", CALLS)
def test_a_silent_server_is_waited_for_so_long_and_no_longer(start_redis: Callable[..., RedisServer], call: str) -> None:
    server = start_redis()
    queue = HotQueue("q", url=server.url, patience=SHORT)
    assert len(queue) == 0  # it has a connection
    server.pause()
    try:
        assert seconds_of(queue, call) < allowed(4)
    finally:
        server.resume()
    queue.close()


ENOUGH = (
    1.0  # seconds of patience for answers on a busy machine: redis-py reads 30 ms long what a Cluster's commands are, each loop
)
LONGER = 1.2  # seconds: a wait that patience does not last for


async def waited(queue: HotQueue) -> None:
    """Wait for a message in each way of asyncio."""
    try:
        assert await queue.aget(block=True, timeout=LONGER) is None
        assert [message async for message in queue.aconsume(timeout=LONGER)] == []
    finally:
        await queue.aclose()


def test_waiting_for_a_message_is_no_outage(make_queue: Callable[..., HotQueue]) -> None:
    """On connections that are made for it, and on those that there are."""
    queue = make_queue(patience=ENOUGH)
    with ThreadPoolExecutor(1) as beside:
        for _ in range(2):
            loop = beside.submit(lambda: asyncio.run(waited(queue)))
            assert queue.get(block=True, timeout=LONGER) is None
            assert list(queue.consume(timeout=LONGER)) == []
            loop.result()


FIRST_CALL = """
import asyncio, sys
from importlib.abc import MetaPathFinder
from hotqueue import HotQueue
from tests.support.durations import take_time

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "redis":
            take_time(1.2)

sys.meta_path.insert(0, Slow())
queue = HotQueue(sys.argv[1], url=sys.argv[2], patience=1)

async def send():
    await queue.aput(1)
    await queue.aclose()

asyncio.run(send())
queue.clear()
"""


def test_the_first_call_imports_and_starts_what_it_needs_before(store_url: str, queue_name: str) -> None:
    """A server that answers is not given up for what its client does."""
    run_python(FIRST_CALL, queue_name, store_url)


def test_it_begins_when_a_call_first_waits() -> None:
    queue = HotQueue("q", url=NOBODY, patience=SHORT)

    def prepares() -> tuple[float, float]:
        take_time(SHORT)
        return queue._store.limits.left(), queue._store.limits.left()

    async def aprepares() -> None:
        take_time(2 * SHORT)
        await asyncio.sleep(0)

    first, second = queue._store.repeat(prepares)
    assert SHORT - 0.1 < second <= first <= SHORT
    asyncio.run(queue._store.arepeat(aprepares))


def test_more_patience_outlasts_a_restart(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    queue = HotQueue("q", url=server.url, patience=None)
    server.stop()
    with ThreadPoolExecutor(1) as other:
        sent = other.submit(lambda: (queue.put(1), queue.task(double).delay(1).state))
        with pytest.raises(TimeoutError):
            sent.result(0.7)
        server.start()  # here: it ends with the thread that starts it
        assert sent.result(20) == (None, "PENDING")
    queue.close()


def test_it_travels_with_the_queue_and_works_for_each_kind_of_store(tmp_path: Any) -> None:
    for where in ({"url": NOBODY}, {"host": "h"}, {"dbfilename": tmp_path / "x.rdb"}, {"url": "redis+cluster://h:1"}, {}):
        queue = HotQueue("q", patience=timedelta(seconds=2), **where)
        assert pickle.loads(pickle.dumps(queue))._store.patience == queue._store.patience == 2
    assert HotQueue("q", url=NOBODY)._store.patience == 5


@pytest.mark.parametrize("given", [0, -1, 0.01, float("nan"), float("inf"), 1e12])
def test_a_patience_out_of_range_is_refused(given: float) -> None:
    with pytest.raises(ConfigError, match=r"patience= takes seconds from 0\.1 to 9e\+09, or None"):
        HotQueue("q", url=NOBODY, patience=given)


@pytest.mark.parametrize("given", ["5", True, [1]])
def test_what_is_no_duration_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="patience= takes seconds"):
        HotQueue("q", url=NOBODY, patience=given)


def test_a_misspelt_patience_is_named() -> None:
    with pytest.raises(TypeError, match="did you mean 'patience'"):
        HotQueue("q", url=NOBODY, patiense=5)


def test_a_process_that_nobody_waits_for_has_the_usual_one() -> None:
    for given, wanted in ((0.2, 5), (60, 60), (None, None)):
        queue = HotQueue("q", url=NOBODY, patience=given)
        queue._store.be_patient()
        assert queue._store.patience == wanted
