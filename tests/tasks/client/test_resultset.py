"""The results of many tasks together: in order, and as they come."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.tasks import sample
from tests.tasks.working import in_background

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_results_come_as_they_complete(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(20))
    worker = in_background(queue)
    assert sorted(r.get(timeout=0) for r in results.as_completed(timeout=20)) == [n * n for n in range(20)]
    worker.join()


@only_server
def test_slices_of_a_result_set_are_result_sets(make_queue: MakeQueue) -> None:
    results = make_queue().task(sample.square).map(range(5))
    assert [r.id for r in results[1:3]] == [results[1].id, results[2].id]
    assert (len(results[1:3]), repr(results)) == (2, "<ResultSet of 5>")
