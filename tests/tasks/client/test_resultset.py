"""The results of many tasks together: in order, as they come, the first error of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.tasks import sample
from tests.tasks.working import in_background, work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_many_results_are_waited_for_together(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(100))
    worker = in_background(queue)
    assert results.get(timeout=20) == [n * n for n in range(100)]
    worker.join()
    assert (results.ready(), results.successful()) == (True, True)
    assert sorted(r.get() for r in results[:3]) == [0, 1, 4]


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


@only_server
def test_the_first_error_in_order_is_raised_for_a_set(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.raise_it).map([ValueError("one"), OSError("two")])
    work(queue)
    with pytest.raises(ValueError, match="one"):
        results.get(timeout=5)
    assert [type(e) for e in results.get(timeout=5, propagate=False)] == [ValueError, OSError]
    assert not results.successful()
    queue.discard_dead(all=True)
