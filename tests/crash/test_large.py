"""What is too large for the server, or for the link, costs only itself. Limits of our own: tests/tasks/test_sizes.py.

Of the kind: a message (`put`, `aput`, bounded or not), a call (`delay`, `adelay`, `map`, `batch`, `submit`), a settlement of a
task (its result, its error); refused by Redis (proto-max-bulk-len: it answers and closes while we still send), by a proxy in
front of it (in words of its own, or by closing without any), or only slow to arrive. Whatever happens: one clear error, or the
result; nothing else waits for it; nothing is tried for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.waiting import allowed

MB = 1 << 20
SMALL = ("--proto-max-bulk-len", "1mb")  # the least that Redis can be told


@pytest.fixture
def small(start_redis: Callable[..., RedisServer], tmp_path: Path) -> str:
    """The URL of a server that takes nothing over 1 MB; over TCP and over its socket it refuses at different moments."""
    server = start_redis(*SMALL, "--unixsocket", str(tmp_path / "s"))
    return server.url


@pytest.fixture(params=["tcp", "unix"])
def url(request: pytest.FixtureRequest, small: str, tmp_path: Path) -> str:
    return small if request.param == "tcp" else f"unix://{tmp_path}/s"


# --- what a program sends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"max_queue_length": 10}], ids=["", "bounded"])
@pytest.mark.parametrize("size", [MB + 1, 3 * MB, 40 * MB])
def test_a_message_that_the_server_refuses(url: str, size: int, options: dict[str, Any]) -> None:
    with HotQueue("large", url=url, serializer=None, **options) as queue:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(
                SerializationError, match=r"put on .*MB\).*invalid bulk length.*store it elsewhere and send where"
            ):
                queue.put("x" * size)
            with pytest.raises(SerializationError, match="invalid bulk length"):
                queue.put(1, "x" * size, 2)
        assert time.monotonic() - began < allowed(4)  # and not each as long as its size takes, or patience lasts
        queue.put("after")
        assert queue.get() == "after"
        assert len(queue) == 0


@pytest.mark.parametrize("size", [MB + 1, 40 * MB])
def test_a_message_sent_from_a_loop_that_the_server_refuses(url: str, size: int) -> None:
    async def put() -> None:
        async with HotQueue("large", url=url, serializer=None) as queue:
            with pytest.raises(SerializationError, match=r"MB\).*invalid bulk length"):
                await queue.aput("x" * size)
            await queue.aput("after")
            assert await queue.aget() == "after"

    asyncio.run(put())


def test_a_call_that_the_server_refuses(url: str) -> None:
    with HotQueue("large", url=url) as queue:
        task = queue.task(len)
        for send in (task.delay, lambda value: task.apply_async((value,), countdown=60), lambda value: queue.submit(len, value)):
            with pytest.raises(SerializationError, match=r"enqueueing \(2 MB\).*invalid bulk length"):
                send(b"x" * (2 * MB))
        with pytest.raises(SerializationError, match="invalid bulk length"):
            asyncio.run(task.adelay(b"x" * (2 * MB)))  # type: ignore[arg-type]
        assert queue.pending() == 0
        task.delay(b"x")
        assert queue.pending() == 1


def test_a_call_that_the_server_refuses_keeps_none_back_that_was_sent_with_it(url: str) -> None:
    with HotQueue("large", url=url) as queue:
        task = queue.task(len)
        values = [b"a", b"x" * (2 * MB), b"b", b"y" * (3 * MB), b"c"]
        with pytest.raises(SerializationError, match=r"2 of 5 tasks were refused, the others were sent: .*\(2 MB\)"):
            task.map(values)
        assert queue.pending() == 3
        batch = queue.batch()

        def in_a_block() -> None:
            with batch:
                for value in values:
                    task.delay(value)

        with pytest.raises(SerializationError, match="2 of 5 tasks were refused"):
            in_a_block()
        assert (queue.pending(), len(batch)) == (6, 2)

        async def in_a_loop() -> None:
            async with queue.batch():
                for value in values:
                    await task.adelay(value)

        with pytest.raises(SerializationError, match="2 of 5 tasks were refused"):
            asyncio.run(in_a_loop())
        assert queue.pending() == 9


def test_a_call_that_takes_longer_than_any_deadline_arrives(start_redis: Callable[..., RedisServer]) -> None:
    """Its deadline counts from the last bytes that were taken, and the reply's too; from a loop as well."""
    proxy = Proxy(start_redis().url)
    proxy.rate = 2 * MB
    with HotQueue("large", url=proxy.url) as queue:
        began = time.monotonic()
        queue.task(len).delay(b"x" * (16 * MB))
        assert time.monotonic() - began > 6
        asyncio.run(queue.task(len).adelay(b"x" * (16 * MB)))  # type: ignore[arg-type]
        assert queue.pending() == 2
    proxy.close()
