"""What happened in many queues is told together, and kept for a moment for all who ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.history import KEPT, History, together
from hotqueue.monitor.statistics import COUNTS, Series, Span
from hotqueue.tasks.rules.histogram import Histogram

NONE = dict.fromkeys(COUNTS, 0)


def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def series(queue: str, *succeeded: int) -> Series:
    begin = now() - timedelta(minutes=len(succeeded) - 1)
    spans = [
        Span(
            begin + timedelta(minutes=n), {**dict.fromkeys(COUNTS, 0), "succeeded": count}, Histogram(count, 1.0, ((1.0, count),))
        )
        for n, count in enumerate(succeeded)
    ]
    return Series(queue, "", 60, tuple(spans))


def test_queues_are_added_up_span_by_span() -> None:
    found = together([series("a", 1, 2, 3), series("b", 0, 5, 0)], 60, 3)
    by_moment = {span.at: span for span in found.spans}
    assert len(found.spans) == 3
    assert found.queue == ""
    assert by_moment[now() - timedelta(minutes=1)].counts["succeeded"] == 7
    assert found.total.counts["succeeded"] - by_moment.get(now() - timedelta(minutes=2), found.spans[0]).counts["succeeded"] == 10
    assert by_moment[now() - timedelta(minutes=1)].run.count == 7


def test_of_no_queues_nothing_happened() -> None:
    found = together([], 3600, 24)
    assert (len(found.spans), set(found.total.counts.values()), found.step) == (24, {0}, 3600)


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
