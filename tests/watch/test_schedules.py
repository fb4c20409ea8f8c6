"""The view of schedules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")


def test_schedules_are_there_are_paused_and_triggered(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str
) -> None:
    queue = make_queue()
    found = queue.schedule("nightly", "0 3 * * *", "shop.report")

    async def steps(live: Live) -> None:
        await live.press("5")
        await live.shows("nightly", "shop.report", "0 3 * * *", "a program")
        await live.press("P")
        await live.shows("nightly: paused")
        assert next(iter(queue.schedules())).is_paused
        await live.press("P")
        await live.shows("nightly: resumed")
        await live.press("E")
        await live.asks("nightly")
        await live.press("y")
        await live.shows("sent ")
        assert queue.pending() == 1

    live(steps)
    queue.purge()
    found.remove()
