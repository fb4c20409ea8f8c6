"""The view of workers: what each has in hand, and stopping the program of one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.snapshot import snapshot
from hotqueue.store.store import Store
from hotqueue.watch.workers import Workers
from tests.support.waiting import wait_until
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")

GATE = threading.Event()


def _wait_for_gate() -> None:
    GATE.wait(20)


def test_a_row_says_what_the_worker_runs(make_queue: Callable[..., HotQueue], store: Store, queue_name: str) -> None:
    queue = make_queue()
    queue.task(_wait_for_gate, name="shop.wait").delay()
    thread = threading.Thread(target=lambda: queue.run_worker(burst=True))
    thread.start()
    try:
        view = Workers()
        found = wait_until(lambda: (s := snapshot(store, [queue_name])).workers and s.workers[0].in_hand and s)
        (row,) = [row for row in view.read(store, found) if row.cells[7][0]]
        texts = [text for text, _ in row.cells]
        assert (texts[6], texts[7], texts[8]) == (queue_name, "1", "shop.wait")
        assert view.open(row) == ("Tasks", f"state:running worker:{row.key}")
        assert view.badge(found) == str(len(found.workers))
    finally:
        GATE.set()
        thread.join()


def test_stopping_asks_and_says_whom(
    make_queue: Callable[..., HotQueue],
    live: Callable[..., None],
    start_command: Callable[..., object],
    store_url: str,
    queue_name: str,
) -> None:
    make_queue().put("there is such a queue")
    worker = start_command("hotqueue-worker", "-Q", queue_name, "--url", store_url, "--name", "web-1", "-p", "1", "-q")

    async def steps(live: Live) -> None:
        await live.press("2")
        await live.shows("web-1 (")
        await live.press("T")
        await live.asks("finish what it runs, and end?")
        await live.press("y")
        await live.shows("web-1: told to stop")

    live(steps)
    wait_until(lambda: worker.poll() is not None)  # type: ignore[attr-defined]
