"""What a key does here is done in a thread, and an error is a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.watch.app import LiveApp
from tests.support.processes import ROOT
from tests.support.servers import RedisServer
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")


def test_a_key_that_does_nothing_here_says_so(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str
) -> None:
    make_queue().put("message")

    async def steps(live: Live) -> None:
        await live.shows(queue_name)
        await live.press("R")
        await live.shows("R does nothing to queues; ? shows the keys")
        await live.press("5", "E")
        await live.shows("there is no schedule")

    live(steps)


def test_who_may_only_read_sees_all_and_is_told_that_he_may_not_change(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("mail", url=server.url) as queue:
        queue.send("shop.mail", (4,))
    lines = (ROOT / "examples" / "redis-acl.conf").read_text().splitlines()
    rule = next(line for line in lines if line.startswith("user hotqueue-read "))
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", *rule.split()[1:])
    store = Store(resolve(url=f"redis://hotqueue-read:change-me-read@127.0.0.1:{server.port}"))

    async def steps() -> None:
        app = LiveApp(store, every=0.1)
        async with app.run_test(size=(150, 24)) as pilot:
            live = Live(app, pilot)
            await live.shows("mail", "1 waiting")
            await live.press("P")
            await live.shows("pausing a queue at ")
            await live.press("4")
            await live.shows("shop.mail", "ready")

    asyncio.run(steps())
    store.close()
