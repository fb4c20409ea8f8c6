"""Whose turn it is: queues with and without weights, queues that have nothing to do, slots that are shared out."""

from __future__ import annotations

import pytest

from hotqueue.tasks.worker.queue_turns import Turns, turns_in


def served(weights: list[int], busy: set[int], turns: int, each: float = 1.0) -> list[int]:
    """Return which queues have a task run, one after another, where those in `busy` always have some."""
    made, found = Turns(weights), []
    for _ in range(turns):
        at = made.order(busy)[0]
        made.spend(at, each)
        found.append(at)
    return found


@pytest.mark.parametrize(
    ("weights", "busy", "order"),
    [
        ([1], {0}, [0, 0, 0]),
        ([1, 1], {0, 1}, [0, 1, 0, 1]),
        ([3, 1], {0, 1}, [0, 0, 0, 1, 0, 0, 0, 1]),
        ([1, 3], {0, 1}, [0, 1, 1, 1, 0]),
        ([1, 1, 1], {0, 2}, [0, 2, 0, 2]),
        ([2, 1, 3], {1, 2}, [1, 2, 2, 2, 1]),
        ([1, 1, 1], {1}, [1, 1, 1]),
    ],
)
def test_queues_take_turns(weights: list[int], busy: set[int], order: list[int]) -> None:
    assert served(weights, busy, len(order)) == order


def test_a_turn_may_have_several_short_batches() -> None:
    assert served([1, 1], {0, 1}, 12, each=0.25) == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_a_queue_that_had_nothing_keeps_no_turns() -> None:
    turns = Turns([3, 1])
    assert not turns.spend(0, 1)
    assert turns.spend(1, 1)  # 0 had nothing just then
    assert [turns.spend(0, 1) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("weights", "wanting", "rooms", "shares"),
    [
        ([1], [0], [10, 3], [[10], [3]]),
        ([1, 1], [0, 1], [10, 1, 1, 1], [[5, 5], [1, 0], [0, 1], [1, 0]]),
        ([3, 1], [0, 1], [4, 2, 2, 10], [[3, 1], [2, 0], [1, 1], [8, 2]]),
        ([3, 1], [0, 1], [10, 10], [[8, 2], [7, 3]]),
        ([1, 1, 1], [0, 2], [3, 1], [[2, 1], [0, 1]]),
        ([1, 1], [0, 1], [0], [[0, 0]]),
    ],
)
def test_slots_are_shared_out(weights: list[int], wanting: list[int], rooms: list[int], shares: list[list[int]]) -> None:
    turns, found = Turns(weights), []
    for room in rooms:
        order = turns.order(wanting)
        given = dict(zip(order, turns.shares(room, order), strict=True))
        found.append([given[at] for at in wanting])
    assert found == shares


def test_work_is_counted_in_turns() -> None:
    assert turns_in(0.001) == pytest.approx(0.1)
    assert turns_in(0.006) == turns_in(0.010) == turns_in(60) == 1
