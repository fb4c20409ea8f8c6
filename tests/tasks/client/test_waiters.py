"""Who is told of which task, and when the server is asked about it again; threads, callbacks, the garbage collector."""

from __future__ import annotations

import gc
import time

import pytest

from hotqueue.tasks.client import waiters as module
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.waiters import Waiter, Watches
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST", 0.05)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.3)
    monkeypatch.setattr(module, "BETWEEN", 0.01)


def told(_id: str, _answer: Answer) -> None:
    """Be a callback."""


def other(_id: str, _answer: Answer) -> None:
    """Be another one."""


def when_asked(watches: Watches, times: int) -> list[float]:
    """Return after how many seconds the only task was asked about."""
    began, found = time.monotonic(), list[float]()

    def is_asked_so_often() -> bool:
        if watches.due():
            found.append(time.monotonic() - began)
        return len(found) == times

    wait_until(is_asked_so_often)
    return found


def test_a_task_is_asked_about_soon_and_then_ever_more_rarely() -> None:
    watches = Watches()
    watches.add("t", told)
    times = when_asked(watches, 5)
    pauses = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    for pause, least in zip(pauses, [0.05, 0.1, 0.2, 0.3, 0.3], strict=True):
        assert least - 0.01 <= pause


def test_many_are_asked_about_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 10)
    watches = Watches()
    waiter = Waiter(f"t{n}" for n in range(35))
    watches.enter(waiter)
    assert watches.due() == []
    pieces: list[list[str]] = []
    while sum(map(len, pieces)) < 35:
        wait_until(lambda: watches.until_due() == 0)
        pieces.append(watches.due())
    assert [len(piece) for piece in pieces] == [10, 10, 10, 5]
    assert {task_id for piece in pieces for task_id in piece} == waiter.remaining


def test_all_are_asked_about_at_once_when_something_was_lost() -> None:
    watches = Watches()
    watches.add("t", told)
    when_asked(watches, 3)
    watches.add("u", told)
    assert watches.due() == []
    watches.all_due()
    assert watches.until_due() == 0
    assert watches.due() == ["t", "u"]
    assert watches.due() == []


def test_one_that_expires_is_asked_about_then() -> None:
    watches = Watches()
    watches.add("t", told)
    when_asked(watches, 4)
    watches.expiring({"t": 20, "unknown": 1})
    assert 0 < watches.until_due() < 0.04
    wait_until(lambda: watches.until_due() == 0)
    assert watches.due() == ["t"]


def test_whoever_leaves_is_forgotten_and_nobody_else() -> None:
    watches = Watches()
    waiter, second = Waiter(["a", "b"]), Waiter(["b"])
    watches.enter(waiter)
    watches.enter(second)
    watches.add("a", told)
    watches.add("b", told)
    watches.add("b", other)
    assert watches.first_waiter is waiter
    watches.leave(waiter)
    assert watches.first_waiter is second
    watches.remove("a", told)
    watches.remove("a", told)  # twice does no harm
    watches.remove("b", other)
    assert watches.has_callbacks
    assert watches.take("a") == []
    assert watches.take("b") == [second, told]
    assert (len(watches.tasks), watches.first_waiter, watches.has_callbacks) == (0, None, False)


def test_a_waiter_that_has_its_answers_is_not_the_first_any_more() -> None:
    watches = Watches()
    waiter = Waiter(["a", "b"])
    watches.enter(waiter)
    for task_id in ("a", "b"):
        assert watches.first_waiter is waiter
        assert watches.take(task_id) == [waiter]
        waiter.deliver(task_id, Answer("D"))
    assert watches.first_waiter is None
    assert waiter.awake.is_set()


def test_the_garbage_collector_may_remove_in_the_middle_of_anything() -> None:
    watches = Watches()

    class Leaves:
        def __del__(self) -> None:
            watches.remove("t", told)

    watches.add("t", told)
    leaves = Leaves()
    with watches._lock:  # as in the middle of any of its methods
        del leaves
        gc.collect()
    assert not watches.has_callbacks
    assert len(watches.tasks) == 0
