"""Statistics: what happened, span by span."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
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
