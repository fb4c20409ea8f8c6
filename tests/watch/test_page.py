"""The page of a task is read anew all the time, scrolls, and does to its task what keys say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")


def test_a_page_shows_a_task_and_what_becomes_of_it(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str
) -> None:
    queue = make_queue()
    sent = queue.send("shop.mail", (4,), {"text": "x"})

    async def steps(live: Live) -> None:
        await live.press("4")
        await live.shows("shop.mail")
        await live.press("enter")
        await live.shows(f"task {sent.id}", "shop.mail(4, text='x')", "no worker", "timeline")
        await live.press("R")
        await live.shows("only dead tasks can be retried")
        await live.press("K")
        await live.asks("Revoke 1 task?")
        await live.press("y")
        await live.shows("1 revoked", "ended, REVOKED")
        await live.press("escape")
        await live.shows_no("timeline")

    live(steps)


def test_a_long_page_scrolls(live: Callable[..., None], make_queue: Callable[..., HotQueue]) -> None:
    make_queue().put("there is such a queue")

    async def steps(live: Live) -> None:
        await live.press("?")
        await live.shows("keys of hotwatch --live", "move", "more lines")
        await live.press("G")
        await live.shows("worker:web-1*")
        await live.shows_no("more lines")
        await live.press("g", "pagedown", "q")
        await live.shows_no("keys of hotwatch --live")

    live(steps, size=(80, 24))
