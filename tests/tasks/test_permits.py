"""The permit pipe between a worker and its supervisor."""

from __future__ import annotations

import os
import threading
from collections import Counter

from hotqueue.tasks.permits import Permits


def test_a_permit_is_had_once() -> None:
    permits = Permits()
    permits.add(7, 2)
    assert [permits.take(7) for _ in range(3)] == [True, True, False]


def test_a_permit_of_the_next_fetch_is_not_had_for_this_one() -> None:
    permits = Permits()
    permits.add(7, 2)
    permits.drain()  # somebody takes the fetch back while the permits for the next one go in
    permits.add(8, 3)
    assert permits.take(7) is False
    assert permits.drain() == Counter({8: 3})


def test_draining_says_how_many_of_which_fetch() -> None:
    permits = Permits()
    permits.add(7, 3)
    permits.take(7)
    permits.add(256 + 9, 2)
    assert permits.drain() == Counter({7: 2, 9: 2})
    assert (permits.drain(), permits.take(7)) == (Counter(), False)


def test_taker_and_drainer_share_every_permit_between_them() -> None:
    permits = Permits()
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
    assert len(taken) + drained[1] == 5000


def test_a_full_batch_for_each_of_many_fetches_fits_the_pipe() -> None:
    permits = Permits()
    for number in range(200):
        permits.add(number, 256)
    assert permits.drain().total() == 200 * 256


def test_the_pipe_may_be_somebody_elses() -> None:
    pipe = os.pipe()
    ours, theirs = Permits(pipe), Permits(pipe)
    ours.add(3, 1)
    assert theirs.drain() == {3: 1}
    for fd in pipe:
        os.close(fd)
