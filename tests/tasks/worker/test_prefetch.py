"""How many tasks to fetch at once."""

from __future__ import annotations

import pytest

from hotqueue.tasks.worker.prefetch import MOST, TARGET, Pace


def rooms(pace: Pace, seconds: float, times: int = 12) -> list[int]:
    found = []
    for _ in range(times):
        found.append(pace.room())
        pace.ran(seconds)
    return found


def test_the_first_fetch_is_of_one() -> None:
    assert Pace().room() == 1


def test_short_tasks_come_in_doubling_batches() -> None:
    assert rooms(Pace(), 1e-6) == [1, 2, 4, 8, 16, 32, 64, 128, 256, MOST, MOST, MOST]


def test_a_batch_is_worth_the_target() -> None:
    assert rooms(Pace(), TARGET / 10)[-1] == 10


@pytest.mark.parametrize("seconds", [TARGET * 0.6, 1.0, 100.0])
def test_long_tasks_come_one_by_one(seconds: float) -> None:
    assert set(rooms(Pace(), seconds)) == {1}


def test_one_long_task_counts_at_once() -> None:
    pace = Pace()
    assert rooms(pace, 1e-6)[-1] == MOST
    pace.ran(1.0)
    assert pace.room() == 1


def test_a_task_that_takes_no_time_at_all_is_no_division_by_zero() -> None:
    assert rooms(Pace(), 0.0)[-1] == MOST
