"""Pending writes: in their order, when Redis is back, and as far as there is time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.supervisor.pending_writes import PendingWrites
from tests.support.waiting import wait_until


def test_writes_are_done_in_order_when_redis_is_back() -> None:
    done: list[int] = []
    is_down = True

    def write(n: int) -> Callable[[], None]:
        def body() -> None:
            if is_down:
                raise ConnectionFailed("down")
            done.append(n)

        return body

    pending = PendingWrites()
    assert not pending.are_due
    for n in range(3):
        pending.add(write(n))
    assert pending.are_due
    with pytest.raises(ConnectionFailed):
        pending.flush()
    assert (done, pending.are_due, pending.are_left) == ([], False, True)
    is_down = False
    wait_until(lambda: pending.are_due)
    pending.add(write(3))
    pending.flush()
    assert (done, pending.are_left) == ([0, 1, 2, 3], False)
    pending.flush()
    assert done == [0, 1, 2, 3]


def test_when_time_is_up_the_rest_stays_pending() -> None:
    pending, done = PendingWrites(), []
    for n in range(2):
        pending.add(lambda n=n: done.append(n))  # type: ignore[misc]
    pending.flush(until=0.0)
    assert (done, pending.are_due) == ([], True)
    pending.flush()
    assert done == [0, 1]
