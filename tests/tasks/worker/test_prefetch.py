"""How many tasks to fetch at once."""

from __future__ import annotations

import pytest

from hotqueue.tasks.worker.prefetch import MOST, TARGET, Prefetch


def rooms(prefetch: Prefetch, seconds: float, times: int = 12) -> list[int]:
    found = []
    for _ in range(times):
        found.append(prefetch.room())
        prefetch.ran(seconds)
    return found


def test_the_first_fetch_is_of_one() -> None:
    assert Prefetch().room() == 1


def test_short_tasks_come_in_doubling_batches() -> None:
    assert rooms(Prefetch(), 1e-6) == [1, 2, 4, 8, 16, 32, 64, 128, 256, MOST, MOST, MOST]


def test_a_batch_is_worth_the_target() -> None:
    assert rooms(Prefetch(), TARGET / 10)[-1] == 10


@pytest.mark.parametrize("seconds", [TARGET * 0.6, 1.0, 100.0])
def test_long_tasks_come_one_by_one(seconds: float) -> None:
    assert set(rooms(Prefetch(), seconds)) == {1}


def test_one_long_task_counts_at_once() -> None:
    prefetch = Prefetch()
    assert rooms(prefetch, 1e-6)[-1] == MOST
    prefetch.ran(1.0)
    assert prefetch.room() == 1


def test_a_task_that_takes_no_time_at_all_is_no_division_by_zero() -> None:
    assert rooms(Prefetch(), 0.0)[-1] == MOST
