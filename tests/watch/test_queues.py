"""The view of queues: what is in each, and pausing and purging them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.snapshot import snapshot
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.watch.pulse import Pulse
from hotqueue.watch.queues import Queues
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")


def test_a_row_says_what_is_in_the_queue(make_queue: Callable[..., HotQueue], store: Store, queue_name: str) -> None:
    queue = make_queue()
    queue.put("message")
    for n in range(3):
        queue.send("shop.mail", (n,))
    queue.send("shop.mail", (4,), countdown=600)
    view = Queues(Pulse())
    found = snapshot(store, [queue_name, f"{queue_name}-empty"])
    first, second = view.read(store, found)
    assert [text for text, _ in first.cells[:5]] == [queue_name, "3", "0", "1", "0"]
    assert first.cells[1][1] == "bad"  # since there is no worker
    assert first.cells[-1][0] == "1"
    assert [text for text, _ in second.cells[:5]] == [f"{queue_name}-empty", "0", "0", "0", "0"]
    view.filter = "EMPTY"
    assert [row.key for row in view.read(store, found)] == [f"{queue_name}-empty"]
    assert view.open(first) == ("Tasks", f"queue:{queue_name}")


def test_p_pauses_and_resumes(make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str) -> None:
    queue = make_queue()
    queue.send("shop.mail")

    async def steps(live: Live) -> None:
        await live.shows(queue_name, "1 task waits")
        await live.press("P")
        await live.shows(f"{queue_name}: paused", f"{queue_name} ⏸")
        assert Broker(queue._store, queue_name).is_paused()
        await live.press("P")
        await live.shows(f"{queue_name}: resumed")
        assert not Broker(queue._store, queue_name).is_paused()

    live(steps)


def test_x_purges_what_waits_after_asking(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str
) -> None:
    queue = make_queue()
    for _ in range(3):
        queue.send("shop.mail")

    async def steps(live: Live) -> None:
        await live.shows(queue_name)
        await live.press("X")
        await live.asks("about 3 tasks?")
        await live.press("n")
        await live.shows("not done")
        assert queue.pending() == 3
        await live.press("X")
        await live.asks("about 3 tasks?")
        await live.press("y")
        await live.shows("3 tasks revoked")

    live(steps)
    assert queue.pending() == 0
