"""The results of many tasks together: in order, and as they come."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import chain
from hotqueue.tasks.broker.session import Session
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.working import in_background, work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_results_come_as_they_complete(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(20))
    worker = in_background(queue)
    assert sorted(r.get(timeout=0) for r in results.as_completed(timeout=30)) == [n * n for n in range(20)]
    worker.join()


@only_server
def test_slices_of_a_result_set_are_result_sets(make_queue: MakeQueue) -> None:
    results = make_queue().task(sample.square).map(range(5))
    assert [r.id for r in results[1:3]] == [results[1].id, results[2].id]
    assert (len(results[1:3]), repr(results)) == (2, "<ResultSet of 5>")


def test_many_are_revoked_a_thousand_in_a_trip(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(sample.square)
    results = task.map(range(2500))
    assert results[:1].revoke() == 1
    assert (results.revoke(), results.revoke()) == (2499, 0)
    assert {result.state for result in results[::500]} == {"REVOKED"}
    assert queue.pending() == 0
    assert task.map([]).revoke() == 0


@only_server
def test_of_many_what_a_worker_has_in_hand_is_asked_for_alone(room: Room) -> None:
    task = room.queue.task(sample.square)
    results = task.map(range(1500))
    session = Session(room.broker, "w", "s")
    session.register(60_000, {})
    (running,) = session.step(1, ()).deliveries
    before = room.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert results.revoke(terminate=True) == 1499
    assert room.client.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 10
    assert room["control"].keys() == {running.id}


@only_server
def test_of_many_what_came_in_the_place_of_one_is_revoked_with_it(make_queue: MakeQueue) -> None:
    queue = make_queue()
    later = queue.task(sample.square, name="later")
    outer = queue.task(lambda n: chain(later.si(n).set(countdown=600), later.si(n)), name="outer")
    results = outer.map(range(3))
    work(queue)
    assert queue.pending() == 6
    assert results.revoke() == 3
    assert queue.pending() == 0


def test_inside_testing_it_is_the_same() -> None:
    queue = HotQueue("many", host="127.0.0.1", port=1)
    with queue.testing():
        queue.pause()
        results = queue.task(sample.square).map(range(5))
        assert (results.revoke(), results.revoke()) == (5, 0)
