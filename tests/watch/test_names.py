"""The view of tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.statistics import COUNTS, Series, Span
from hotqueue.tasks.broker.broker import Broker
from hotqueue.watch.names import Names, row_of
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")


def test_a_row_has_counts_and_shares() -> None:
    counts = {**dict.fromkeys(COUNTS, 0), "succeeded": 30, "failed": 10, "retried": 2}
    row = row_of(Series("low", "shop.mail", 60, (Span(datetime.now(UTC), counts),)), ("shop.mail",))
    assert [text for text, _ in row.cells[:5]] == ["shop.mail ⏸", "low", "40", "25%", "2"]
    assert row.cells[8][0].endswith("█")
    assert row.values[2:5] == (40, 0.25, 2)
    assert Names().open(row) == ("Tasks", "task:shop.mail queue:low")


def test_names_that_ran_are_there_and_can_be_paused(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str
) -> None:
    queue = make_queue()

    @queue.task(name="shop.mail")
    def mail(n: int) -> None:
        if n == 3:
            raise ValueError(n)

    for n in range(4):
        mail.delay(n)
    queue.run_worker(burst=True)

    async def steps(live: Live) -> None:
        await live.press("3")
        await live.shows("shop.mail", "25%")
        await live.press("P")
        await live.shows(f"shop.mail of {queue_name}: paused")
        assert list(Broker(queue._store, queue_name).paused()) == ["task:shop.mail"]

    live(steps)
    queue.resume(task="shop.mail")
