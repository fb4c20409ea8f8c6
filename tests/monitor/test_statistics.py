"""Statistics: what happened, span by span."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import statistics
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


@pytest.mark.parametrize("step", statistics.STEPS)
def test_a_queue_counts_what_happened(make_queue: MakeQueue, step: int) -> None:
    queue = make_queue()
    task_by_name(queue, "shop.one").delay()
    found = statistics.series(queue._store, queue.name, step=step, spans=5)
    assert len(found.spans) == 5
    assert [span.at.timestamp() % step for span in found.spans] == [0] * 5
    assert found.total.counts == dict.fromkeys(statistics.COUNTS, 0) | {"enqueued": 1}
    assert found.total.at == found.spans[0].at
    queue.purge()


@pytest.mark.servers("embedded")
def test_there_are_three_steps(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with pytest.raises(ValueError, match="in steps of 60, 3600, 86400 seconds, not of 61"):
        statistics.series(queue._store, queue.name, step=61)


@pytest.mark.servers("server")
def test_places_that_nobody_of_us_gave_keep_no_one_from_an_answer(make_queue: MakeQueue) -> None:
    queue = make_queue()
    ids = [task_by_name(queue, "shop.one").delay().id for _ in range(3)]
    ready = keys.ready(queue.name)
    for places in (("inf", "-inf", "1e300"), ("-1e300", "1e18", "-1")):
        for task_id, place in zip(ids, places, strict=True):
            queue._store.command(ready, "ZADD", ready, place, task_id)
        waits = statistics.oldest(queue._store, queue.name)
        assert waits is not None
        assert waits >= 0
    queue.purge()
