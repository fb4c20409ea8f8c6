"""Loops: where loops go on, and how often the ends of their items are written."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hotqueue.tasks.rules.loops import BURST, LONGEST, WIDEST, Loops, Pace

WRITE = 0.0002  # seconds


def test_loops_go_on_where_they_were_one_behind_the_other_and_in_one_another() -> None:
    loops = Loops()
    outer = loops.begin()
    loops.end_item(outer)
    inner = loops.begin()
    loops.end_item(inner)
    loops.end_item(inner)
    assert loops.positions == (1, 2)
    again = Loops(loops.positions)
    assert again.positions == (1, 2)  # before they have begun
    outer = again.begin()
    assert (outer.index, again.begin().index) == (1, 2)
    again.end_item(outer)
    assert (again.positions, again.begin().index) == ((2,), 0)  # of the next item nothing is known


def test_loops_side_by_side_are_refused() -> None:
    loops = Loops()
    one, other = loops.begin(), loops.begin()
    loops.end_item(other)
    loops.end_item(one)
    with pytest.raises(RuntimeError, match="not side by side"):
        loops.end_item(other)


def test_it_is_known_whether_an_item_is_worked_at() -> None:
    loops = Loops()
    loop = loops.begin()
    assert not loops.are_at_an_item
    loop.is_out = True
    assert loops.are_at_an_item
    loops.end_item(loop)
    assert not loops.are_at_an_item


def written(items: int, each: float, write: float = WRITE, ahead: int = 0) -> tuple[list[int], float]:
    """Return behind which items of `items`, that take so long each, there was a write, and how long it all took."""
    now, found = 0.0, []
    pace = Pace(ahead, now)
    for item in range(items):
        now += each
        if pace.is_due(now):
            pace.next(now)
            found.append(item)
            began, now = now, now + write
            pace.written(began, now)
    return found, now


def test_each_of_the_first_items_is_written_and_each_of_slow_ones() -> None:
    assert written(BURST, 1e-6)[0] == list(range(BURST))
    assert written(500, 0.011)[0] == list(range(500))


@pytest.mark.parametrize("each", [1e-5, 1e-4, 1e-3, 9e-3])
def test_of_fast_items_a_hundred_writes_a_second_are_made_after_that(each: float) -> None:
    found, took = written(int(5 / each), each)
    assert len(found) <= BURST + 110 * took
    assert len(found) >= 60 * took  # and not far fewer: what is not written is done again


def test_of_items_that_take_no_time_some_are_not_written() -> None:
    found, _ = written(1_000_000, 1e-7)
    assert max(b - a for a, b in pairwise(found)) == WIDEST


def test_slow_writes_are_rarer_within_bounds() -> None:
    found, took = written(20_000, 0.001, write=0.01)
    assert len(found) <= BURST + 11 * took
    pace = Pace(0, 0.0)
    pace.next(0.0)
    pace.written(0.0, 60.0)  # the server was away
    assert pace.is_due(60.0 + LONGEST)


def test_more_items_never_begin_than_the_last_write_said_and_again_each_is_written() -> None:
    now, promised, since = 0.0, 1, 0
    pace = Pace(0, now)
    for _ in range(50_000):
        since += 1
        assert since <= promised
        now += 2e-5
        if pace.is_due(now):
            promised, since = pace.next(now), 0
            pace.written(now, now + WRITE)
            now += WRITE
    assert promised > 10
    assert written(promised, 1e-6, ahead=promised)[0] == list(range(promised))


def test_what_it_has_still_to_do_again_is_said_on() -> None:
    pace = Pace(10, 0.0)
    left = []
    for n in range(12):
        assert pace.is_due(n * 1e-6)
        left.append(pace.next(n * 1e-6))
        pace.written(n * 1e-6, n * 1e-6)
    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1]


def test_it_knows_whether_something_is_unwritten() -> None:
    pace = Pace(0, 0.0)
    assert not pace.is_behind
    pace.is_due(1.0)
    assert pace.is_behind
    pace.next(1.0)
    pace.written(1.0, 1.0)
    assert not pace.is_behind
