"""The asyncio twins: order, cancellation at any moment, many waiters, held messages, lost replies."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from textwrap import dedent
from typing import Any

import pytest

from hotqueue import ConfigError, ConnectionFailed, HotQueue, QueueFull, SerializationError, keys
from tests.support.durations import alet_pass
from tests.support.processes import run_python
from tests.support.proxy import LOSE_REPLY, LOSE_REQUEST, TWICE, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


@contextlib.asynccontextmanager
async def opened(queue: HotQueue) -> AsyncIterator[HotQueue]:
    """Close a queue's connections in this event loop, but not the queue itself."""
    try:
        yield queue
    finally:
        await queue.aclose()


def run(queue: HotQueue, use: Callable[[HotQueue], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with opened(queue):
            await asyncio.wait_for(use(queue), 30)

    asyncio.run(main())


def waiting(queue: HotQueue) -> list[Any]:
    return [queue._codec.loads(raw) for raw in queue._store.command(queue.key, "LRANGE", queue.key, 0, -1)]


def consumers(queue: HotQueue) -> int:
    return int(queue._store.command(queue.key, "ZCARD", keys.consumers(queue.name)))


def dead_messages(queue: HotQueue) -> list[bytes]:
    return queue._store.command(queue.key, "LRANGE", keys.dead_messages(queue.name), 0, -1)  # type: ignore[no-any-return]


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition)


# --- put and get -----------------------------------------------------------------------------------------------------


def test_the_twins_do_what_the_others_do(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        await queue.aput()
        await queue.aput(1, None, "three")
        assert [await queue.aget() for _ in range(4)] == [1, None, "three", None]
        assert await queue.aget(block=True, timeout=0.1) is None
        queue.put(4)
        assert await queue.aget(block=True) == 4
        await queue.aput(5)
        assert queue.get() == 5

    run(make_queue(), use)


@only_embedded
def test_async_with_closes_the_queue(store_url: str, queue_name: str) -> None:
    async def main() -> None:
        async with HotQueue(queue_name, url=store_url) as queue:
            await queue.aput(1)
            assert await queue.aget() == 1

    asyncio.run(main())
    asyncio.run(main())


def test_a_waiting_aget_wakes(make_queue: MakeQueue) -> None:
    other = make_queue()

    async def use(queue: HotQueue) -> None:
        got = asyncio.create_task(queue.aget(block=True))
        await asyncio.sleep(0)
        other.put("late")
        assert await got == "late"

    run(make_queue(), use)


def test_many_waiters_need_few_connections_and_no_thread(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()  # of its own: what earlier tests began may still end, and open or close connections meanwhile
    other, looking = HotQueue("q", url=server.url), server.client()

    async def use(queue: HotQueue) -> None:
        threads = set(threading.enumerate())
        waiters = [asyncio.create_task(queue.aget(block=True)) for _ in range(200)]
        while not (told := looking.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0)
        assert told["connected_clients"] <= 1 + 65  # the first is the one that asks
        assert set(threading.enumerate()) <= threads
        other.put(*range(200))
        assert sorted(await asyncio.gather(*waiters)) == list(range(200))

    run(HotQueue("q", url=server.url), use)
    other.close()
    looking.close()


@only_embedded
def test_hundreds_of_calls_at_once(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        await asyncio.gather(*(queue.aput(n) for n in range(300)))
        got = await asyncio.gather(*(queue.aget() for n in range(300)))
        assert sorted(got) == list(range(300))
        taken = queue._store.client().scan_iter(match=f"*{queue.name}*:taken:*", count=1000)
        assert len(list(taken)) <= 300

    run(make_queue(), use)


@only_embedded
def test_one_after_another_leaves_one_mark(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        await queue.aput(*range(50))
        assert [await queue.aget() for _ in range(50)] == list(range(50))
        assert len(list(queue._store.client().scan_iter(match=f"*{queue.name}*:taken:*", count=1000))) == 1

    run(make_queue(), use)


@only_embedded
def test_errors_are_those_of_the_others(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        with pytest.raises(QueueFull, match="holds 0 messages of at most 2: 3 more do not fit"):
            await queue.aput(1, 2, 3)
        with pytest.raises(SerializationError, match=r"argument 1 of put\(\)"):
            await queue.aput(lambda: 0)
        queue._store.command(queue.key, "RPUSH", queue.key, b"junk")
        with pytest.raises(SerializationError, match="it was moved to"):
            await queue.aget()
        assert dead_messages(queue) == [b"junk"]
        queue._store.command(queue.key, "SET", queue.key, "x")
        with pytest.raises(ConfigError, match="another type"):
            await queue.aget(block=True)

    run(make_queue(max_queue_length=2), use)


def test_no_server_is_an_error() -> None:
    async def use(queue: HotQueue) -> None:
        with pytest.raises(ConnectionFailed, match="nothing was sent") as info:
            await queue._store.acommand("PING")  # aput tries for 5 s
        assert not info.value.sent

    run(HotQueue("q", url="redis://127.0.0.1:1/0"), use)


# --- cancellation ----------------------------------------------------------------------------------------------------


def test_a_cancelled_aget_swallows_nothing(make_queue: MakeQueue) -> None:
    rounds, dice = 150, random.Random(7)

    async def use(queue: HotQueue) -> None:
        got = []
        for n in range(rounds):
            wait = asyncio.ensure_future(asyncio.wait_for(queue.aget(block=True), dice.random() * 0.004))
            await alet_pass(dice.random() * 0.002)
            await queue.aput(n)
            with contextlib.suppress(TimeoutError):
                got.append(await wait)
        rest = [message async for message in queue.aconsume(block=False)]
        assert sorted(got + rest) == list(range(rounds))
        assert got, "no get won: the test is too fast for this machine"

    run(make_queue(), use)


async def is_sent() -> None:
    """Let time pass in which a request is sent to a server that stands still: nothing else tells that it was."""
    await alet_pass(0.05)


@only_server
def test_a_get_cancelled_with_its_reply_under_way_is_undone(
    make_queue: MakeQueue, start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    queue, other = HotQueue("q", url=server.url), HotQueue("q", url=server.url)
    other.put("a", "b")

    async def use(queue: HotQueue) -> None:
        assert await queue.aget() == "a"
        server.pause()
        get = asyncio.create_task(queue.aget())
        await is_sent()
        get.cancel()
        await is_sent()
        get.cancel()  # a second one, while the first is being undone
        server.resume()
        with pytest.raises(asyncio.CancelledError):
            await get

    run(queue, use)
    assert waiting(other) == ["b"]
    other.close()


@pytest.mark.servers("embedded", "cluster")
def test_a_loop_that_ends_with_a_get_under_way_swallows_nothing(queue_name: str, store_url: str) -> None:
    code = """
        import asyncio, sys
        from hotqueue import HotQueue
        queue = HotQueue(sys.argv[1], url=sys.argv[2])
        async def main(n):
            tasks.extend(asyncio.create_task(queue.aget(block=True)) for _ in range(3))
            await queue.aput(n)
            for _ in range(n):
                await asyncio.sleep(0)  # ends at another point each time
        tasks = []
        for n in range(20):
            asyncio.run(main(n))
        got = [task.result() for task in tasks if not task.cancelled()]
        rest = list(queue.consume(block=False))
        assert sorted(got + rest) == list(range(20)), (got, rest)
    """
    run_python(dedent(code), queue_name, store_url)


# --- consuming -------------------------------------------------------------------------------------------------------


def test_aconsume_holds_each_message_until_the_next_turn(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        await queue.aput(1, None, 3)
        seen = [(message, len(queue), consumers(queue)) async for message in queue.aconsume(timeout=0)]
        assert seen == [(1, 2, 1), (None, 1, 1), (3, 0, 1)]
        assert consumers(queue) == 0

    run(make_queue(), use)


@only_embedded
@pytest.mark.parametrize("error", [None, ValueError, asyncio.CancelledError])
def test_leaving_gives_the_message_back(make_queue: MakeQueue, error: type[BaseException] | None) -> None:
    async def use(queue: HotQueue) -> None:
        await queue.aput("a", "b")
        for _ in range(6):
            with contextlib.suppress(ValueError, asyncio.CancelledError):
                async for message in queue.aconsume():
                    assert message == "a"
                    if error:
                        raise error
                    break
            await until(lambda: consumers(queue) == 0)  # an async generator is closed some time later
        assert waiting(queue) == ["a", "b"]

    run(make_queue(), use)


@only_embedded
def test_a_cancelled_loop_leaves_nothing_behind(make_queue: MakeQueue) -> None:
    async def loop(queue: HotQueue, got: asyncio.Event, forever: bool) -> None:
        async with contextlib.aclosing(queue.aconsume()) as messages:
            async for _ in messages:
                got.set()
                if forever:
                    await asyncio.Event().wait()

    async def use(queue: HotQueue) -> None:
        for forever in (True, False):  # cancelled in the body; while it waits
            await queue.aput("a")
            got = asyncio.Event()
            task = asyncio.create_task(loop(queue, got, forever))
            await got.wait()
            if not forever:
                await until(lambda: queue._store.client().info("clients")["blocked_clients"])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (consumers(queue), await queue.aget()) == (0, "a" if forever else None)

    run(make_queue(), use)


@only_embedded
def test_an_async_worker_is_charged_for_what_it_raises(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        got = []

        @queue.worker(block=False)
        async def work(prefix: str, message: str) -> None:
            if message == "bad":
                raise ValueError(message)
            got.append(prefix + message)

        await queue.aput("bad", "good")
        for _ in range(5):
            assert waiting(queue) == ["bad", "good"]
            with pytest.raises(ValueError, match="bad"):
                await work("very ")
        await work("very ")
        assert (got, len(dead_messages(queue)), consumers(queue)) == (["very good"], 1, 0)

    run(make_queue(), use)


@only_embedded
def test_a_killed_holders_message_is_found(
    make_queue: MakeQueue, start_python: Callable[..., subprocess.Popen[str]], store_url: str
) -> None:
    queue = make_queue()
    queue.put("a", "b")
    code = """
        import asyncio, sys
        from hotqueue import HotQueue
        async def main():
            async for message in HotQueue(sys.argv[1], url=sys.argv[2]).aconsume():
                print(message, flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """
    holder = start_python(dedent(code), queue.name, store_url)
    assert holder.stdout
    assert holder.stdout.readline() == "a\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    async def use(queue: HotQueue) -> None:
        assert await queue.aget() == "b"
        assert await queue.aget(block=True) == "a"

    run(queue, use)


# --- networks and servers that fail ----------------------------------------------------------------------------------


@only_server
def test_lost_replies_lose_and_double_nothing(make_queue: MakeQueue, store_url: str) -> None:
    proxy = Proxy(store_url)
    direct = make_queue()
    direct.put(*["same"] * 5, *range(10))

    async def use(queue: HotQueue) -> None:
        got = []
        for harm in [LOSE_REPLY, LOSE_REQUEST, TWICE] * 2:
            proxy.add(Fault(harm, b"EVALSHA"))
            got.append(await queue.aget())
        async for message in queue.aconsume(block=False):
            got.append(message)
            proxy.lose_reply(b"EVALSHA")
        assert got == [*["same"] * 5, *range(10)]
        proxy.lose_reply(b"RPUSH")
        with pytest.raises(ConnectionFailed, match="is unknown"):
            await queue.aput("once")
        assert await queue.aget() == "once"
        assert await queue.aget() is None

    run(make_queue(url=proxy.url), use)
    assert consumers(direct) == 0
    proxy.close()


def test_a_full_server_can_be_drained(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()

    async def use(queue: HotQueue) -> None:
        await queue.aput("x" * 100_000, "y", "z")
        server.client().config_set("maxmemory", "1mb")
        with pytest.raises(QueueFull, match="maxmemory"):
            await queue.aput("w")
        assert len(await queue.aget()) == 100_000
        assert [message async for message in queue.aconsume(timeout=0.3)] == ["y", "z"]
        assert await queue.aget(block=True, timeout=0.3) is None

    run(HotQueue("q", url=server.url), use)


def test_a_waiting_get_outlives_a_restart(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()

    async def use(queue: HotQueue) -> None:
        await queue.aput(1)
        assert await queue.aget() == 1
        got = asyncio.create_task(queue.aget(block=True))
        await until(lambda: server.client().info("clients")["blocked_clients"])
        server.kill()
        server.start()
        await queue.aput("after")
        assert await got == "after"

    run(HotQueue("q", url=server.url), use)


@only_server
def test_a_reply_that_comes_after_the_end_leaves_no_connection_open(make_queue: MakeQueue) -> None:
    async def use(queue: HotQueue) -> None:
        line = queue._store.loop_client()
        late = asyncio.create_task(queue._store.acommand("BLPOP", queue.key, 0.5, blocks=0.5))
        looking = queue._store.client()
        await until(lambda: any(each["cmd"] == "blpop" for each in looking.client_list()))
        await queue._store.leave_loop()
        assert await late is None
        assert line._free == []

    run(make_queue(), use)
