"""What happened in many queues is told together, and kept for a moment for all who ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.history import KEPT, History


def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.mark.servers("embedded")
def test_an_answer_is_kept_for_all_who_ask_within_a_moment(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    history = History(queue._store)
    found = []
    threads = [threading.Thread(target=lambda: found.append(history.series(queue.name, "", 60, 60))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert all(each is found[0] for each in found)
    assert len(found[0].spans) == 60


@pytest.mark.servers("embedded")
def test_not_every_answer_is_kept(make_queue: Callable[..., HotQueue]) -> None:
    history = History(make_queue()._store)
    for n in range(KEPT + 50):
        history.oldest([f"none-{n}"])
    assert len(history._kept) == KEPT
