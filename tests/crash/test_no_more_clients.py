"""A server at its `maxclients` takes no further connection: whoever has one goes on with it, and whoever has none is told why.

Of the kind: every way to wait for a result (`get`, `aget`, `await`, futures, sets), with the result there or not, over a thread's
connection or a loop's; a worker that starts, and one that runs already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import ConnectionFailed, HotQueue, ResultTimeout
from tests.crash.rig import Rig
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, await_until, wait_until

SAYS = "max number of clients reached: the server takes no more connections; raise its maxclients"


class Full(Rig):
    """A rig whose server can be told to take no further connection."""

    def close_doors(self) -> None:
        """Take no further one; those that are there stay."""
        self.redis.config_set("maxclients", 1)

    def open_doors(self) -> None:
        """Take them again."""
        self.redis.config_set("maxclients", 1000)


@pytest.fixture
def full(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Full]:
    """A queue with its worker stopped, and a client that has one connection."""
    server = start_redis()
    made = Full(tmp_path, server.url, server.client())
    yield made
    made.open_doors()
    made.stop()
    print(made.said()[-4000:])


def ended(full: Full, count: int = 3) -> list[Any]:
    """Return the handles of tasks that have ended, made by a process that has one connection."""
    worker = full.start()
    results = [full.send(full.tasks.work, n) for n in range(count)]
    wait_until(lambda: full.unfinished() == 0)
    worker.terminate()
    worker.wait(10)
    full.queue._store.pool.drop_idle()
    len(full.queue)
    full.close_doors()
    return results


WAYS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "get": lambda results: [result.get(30) for result in results],
    "get without a timeout": lambda results: [result.get() for result in results],
    "future": lambda results: [result.as_future().result(5) for result in results],
    "set": lambda results: _set(results).get(30),
    "as_completed": lambda results: sorted(each.get(1) for each in _set(results).as_completed(5)),
    "aget": lambda results: [asyncio.run(result.aget(30)) for result in results],
    "gather": lambda results: asyncio.run(_set(results).aget(30)),
}


def _set(results: list[Any]) -> Any:
    from hotqueue.tasks import ResultSet

    return ResultSet(results)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_that_is_there_is_had_over_the_connection_that_is(full: Full, way: str) -> None:
    results = ended(full)
    began = time.monotonic()
    assert WAYS[way](results) == [0, 1, 2]
    assert time.monotonic() - began < allowed(3)


@pytest.mark.parametrize("timeout", [5, None])
def test_a_loop_that_has_the_only_connection(full: Full, timeout: float | None) -> None:
    worker = full.start()

    async def main() -> int:
        queue = HotQueue(full.name, url=full._url)
        result = await queue.task(name=full.tasks.work.name)(full.tasks.work.__wrapped__).adelay(7)
        await await_until(lambda: not full.unfinished(), 60)
        worker.terminate()
        await asyncio.to_thread(worker.wait, 10)
        full.close_doors()
        try:
            return int(await result.aget(timeout))
        finally:
            full.open_doors()
            await queue.aclose()

    assert asyncio.run(main()) == 7


def test_a_result_that_comes_late_is_had_as_well(full: Full) -> None:
    full.start()
    len(full.queue)
    result = full.send(full.tasks.work, 1, 1.0)
    full.close_doors()
    assert result.get(30) == 1


def test_a_result_that_is_not_there_says_what_is_wrong(full: Full) -> None:
    result = full.send(full.tasks.work, 1)
    full.close_doors()
    with pytest.raises(ResultTimeout, match=rf"no worker listens on queue .*no connection could be had to wait with: .*{SAYS}"):
        result.get(0.5)
    with pytest.raises(ResultTimeout, match=SAYS):
        asyncio.run(result.aget(0.5))
    full.queue._store.pool.drop_idle()
    with pytest.raises(ConnectionFailed, match=SAYS):
        result.get(0.5)


def test_a_loop_that_has_no_connection_says_what_is_wrong(full: Full) -> None:
    """Each time: whether asyncio reads what the server said before it closed, or fails to write before that, is chance."""
    full.close_doors()

    async def put() -> list[str]:
        said = []
        async with HotQueue(full.name, url=full._url, patience=0.1) as queue:
            for n in range(30):
                with pytest.raises(ConnectionFailed) as caught:
                    await queue.aput(n)
                said.append(str(caught.value))
        return said

    said = asyncio.run(put())
    assert [text for text in said if SAYS not in text and "no answer" not in text] == []  # a loaded machine may answer too late
    assert any(SAYS in text for text in said)


@pytest.mark.parametrize("lost", ["all", "blocked"])
def test_a_worker_that_loses_connections_says_why_once_and_goes_on(full: Full, lost: str) -> None:
    """With those on which it sleeps lost alone, it looks for tasks itself."""
    full.start("-t2")
    len(full.queue)
    wait_until(lambda: any(each["cmd"] == "blpop" for each in full.redis.client_list()), what="it sleeps")
    full.close_doors()
    others = [each for each in full.redis.client_list() if each["cmd"] != "client|list" and each["cmd"] != "client"]
    for each in others:
        if each["cmd"] == "blpop" or (lost == "all" and "llen" not in each["cmd"]):
            full.redis.client_kill_filter(_id=each["id"])
    wait_until(lambda: SAYS in full.said())
    if lost == "all":
        full.open_doors()
    assert [full.send(full.tasks.work, n).get(30) for n in range(30)] == list(range(30))
    assert full.said().count(SAYS) <= 6  # its two threads, its supervisor


def test_a_worker_that_cannot_connect_at_its_start_says_why(full: Full) -> None:
    len(full.queue)
    full.close_doors()
    worker = full.start(wait=False)
    assert worker.wait(20) != 0
    assert full.said().count(SAYS) == 1
    assert "Traceback" not in full.said()
