"""Of however many that hear the same rings, about three ask at once, and somebody always does soon."""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker.eagerness import Eagerness

RINGS = 400
LEARNING = 100


def rings(listeners: list[Eagerness]) -> list[tuple[int, float]]:
    """Have all hear of rings; return of each how many asked at once, and when the first asked."""
    told = []
    for _ in range(RINGS):
        delays = [each.delay() for each in listeners]
        at_once = [each for each, delay in zip(listeners, delays, strict=True) if delay == 0]
        told.append((len(at_once), min(delays)))
        if at_once:
            at_once[0].was_in_time()
            for each in at_once[1:]:
                each.was_late()
    return told[LEARNING:]


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_few_ask_at_once_of_however_many(count: int) -> None:
    told = rings([Eagerness() for _ in range(count)])
    mean = sum(number for number, _ in told) / len(told)
    assert min(1, count) <= mean + 0.5
    assert mean < 6
    assert max(first for _, first in told) < 0.4


def test_who_is_alone_asks_at_once() -> None:
    assert all(told == (1, 0.0) for told in rings([Eagerness()]))


def test_who_was_late_for_long_is_eager_soon_when_the_others_are_gone() -> None:
    left = Eagerness()
    for _ in range(50):
        left.was_late()
    for _ in range(8):
        left.was_in_time()
    assert {left.delay() for _ in range(100)} == {0.0}
