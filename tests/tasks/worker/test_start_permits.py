"""Permits: a pipe between a worker and its supervisor, or memory of a worker that has none; both do the same."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.start_permits import StartPermits


@pytest.fixture(params=["pipe", "here"])
def permits(request: pytest.FixtureRequest) -> Iterator[StartPermits]:
    if request.param == "here":
        yield PermitsHere()
        return
    pipe = os.pipe()
    yield StartPermits(pipe)
    for fd in pipe:
        os.close(fd)


def test_a_permit_is_had_once(permits: StartPermits) -> None:
    permits.add(7, 2)
    assert [permits.take(7) for _ in range(3)] == [True, True, False]


def test_a_permit_of_the_next_fetch_is_not_had_for_this_one(permits: StartPermits) -> None:
    permits.add(7, 2)
    permits.drain()  # somebody takes the fetch back while the permits for the next one go in
    permits.add(8, 3)
    assert permits.take(7) is False
    assert permits.drain() == Counter({(0, 8): 3})


def test_draining_says_how_many_of_which_fetch(permits: StartPermits) -> None:
    permits.add(7, 3)
    permits.take(7)
    permits.add(256 + 7, 2)
    assert permits.drain() == Counter({(0, 7): 2, (0, 263): 2})
    assert (permits.drain(), permits.take(7)) == (Counter(), False)


def test_taker_and_drainer_share_every_permit_between_them(permits: StartPermits) -> None:
    taken, drained, start = [], Counter[int](), threading.Barrier(2)

    def take() -> None:
        start.wait()
        while permits.take(1):
            taken.append(1)

    permits.add(1, 5000)
    thread = threading.Thread(target=take)
    thread.start()
    start.wait()
    drained = permits.drain()
    thread.join()
    drained += permits.drain()
    assert len(taken) + drained[0, 1] == 5000


def test_a_full_batch_for_each_of_many_fetches_fits_the_pipe(permits: StartPermits) -> None:
    for queue in range(30):
        permits.add(queue, 256, queue)
    assert permits.drain().total() == 30 * 256


def test_permits_of_several_queues_are_had_in_any_order(permits: StartPermits) -> None:
    permits.add(7, 2, queue=1)
    permits.add(7, 2, queue=300)
    assert [permits.take(7, 300), permits.take(7, 1), permits.take(8, 1)] == [True, True, False]
    permits.withdraw(7, 5, queue=1)
    assert permits.drain() == Counter({(300, 7): 1})


def test_those_of_one_queue_are_taken_out_alone(permits: StartPermits) -> None:
    for queue in (0, 1, 0):
        permits.add(3, 2, queue)
    permits.withdraw_all(0)
    assert permits.drain() == Counter({(1, 3): 2})


def test_the_pipe_may_be_somebody_elses() -> None:
    pipe = os.pipe()
    ours, theirs = StartPermits(pipe), StartPermits(pipe)
    ours.add(3, 1)
    assert theirs.drain() == {(0, 3): 1}
    for fd in pipe:
        os.close(fd)


def test_who_has_its_pipe_closed_by_a_task_starts_nothing_and_fails_nowhere() -> None:
    pipe = os.pipe()
    permits = StartPermits(pipe)
    permits._read = permits._write = 1 << 20  # such as no file has
    permits.add(3, 1)
    assert not permits.take(3)
    permits.withdraw(3, 1)
    assert (permits.withdraw_all(0), permits.drain()) == (0, Counter())
    for fd in pipe:
        os.close(fd)
