"""Writes that are owed: in their order, when Redis is back, and as far as there is time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.supervisor.debts import Debts
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

    debts = Debts()
    assert not debts.are_due
    for n in range(3):
        debts.owe(write(n))
    assert debts.are_due
    with pytest.raises(ConnectionFailed):
        debts.pay()
    assert (done, debts.are_due, debts.are_left) == ([], False, True)
    is_down = False
    wait_until(lambda: debts.are_due)
    debts.owe(write(3))
    debts.pay()
    assert (done, debts.are_left) == ([0, 1, 2, 3], False)
    debts.pay()
    assert done == [0, 1, 2, 3]


def test_when_time_is_up_the_rest_stays_owed() -> None:
    debts, done = Debts(), []
    for n in range(2):
        debts.owe(lambda n=n: done.append(n))  # type: ignore[misc]
    debts.pay(until=0.0)
    assert (done, debts.are_due) == ([], True)
    debts.pay()
    assert done == [0, 1]
