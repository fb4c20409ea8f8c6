"""Tallies: what they add up to, and their rows: small, read back as they were, refused where they are of another span."""

from __future__ import annotations

import random

import pytest

from hotqueue.tasks.rules.tally import KEPT, MOST_ATTEMPTS, Tally, decode, span_of


def busy(seed: int, number: int, sigma: float = 0.6) -> Tally:
    """Return what a task does in a span."""
    draw, tally = random.Random(seed), Tally()
    for what, part in (("enqueued", 1.0), ("started", 1.02), ("succeeded", 0.98), ("failed", 0.02), ("retried", 0.02)):
        tally.count(what, int(number * part))
    tally.ran([draw.lognormvariate(-2, sigma) for _ in range(number)])
    tally.waited([draw.lognormvariate(-4, sigma) for _ in range(number)])
    for _ in range(number):
        tally.needed(1 + (draw.random() < 0.02))
    return tally


def test_a_row_is_read_back_as_it_was() -> None:
    tally = busy(1, 300)
    row = tally.encode(29_000_000)
    assert decode(row, 29_000_000) == Tally({"lost": 0, "parked": 0} | tally.counts, *vars_of(tally))
    assert span_of(row) == 29_000_000
    assert decode(row, 29_000_001) is None


def test_gaps_are_kept() -> None:
    tally = Tally(run={0: 3, 1: 1, 40: 2, 300: 1}, attempts={1: 5, 100: 1}, run_total=9)
    found = decode(tally.encode(7), 7)
    assert found is not None
    assert vars_of(found) == vars_of(tally)
    assert len(tally.encode(7)) < 35


def vars_of(tally: Tally) -> tuple[dict[int, int], dict[int, int], dict[int, int], int, int]:
    return tally.run, tally.wait, tally.attempts, tally.run_total, tally.wait_total


@pytest.mark.parametrize("row", [b"", b"\x01\x05", b"\x02", b"\x02\x05\x01", b"\x02" + b"\xff" * 9])
def test_what_is_no_row_is_none(row: bytes) -> None:
    assert decode(row, 5) is None


def test_two_are_added() -> None:
    one, two = busy(1, 50), busy(2, 70)
    one.add(two)
    run, wait, attempts = one.histograms()
    assert (run.count, wait.count, attempts.count) == (120, 120, 120)
    assert one.counts["enqueued"] == 120


def test_attempts_are_bounded() -> None:
    tally = Tally()
    tally.needed(10_000)
    assert tally.attempts == {MOST_ATTEMPTS: 1}


def test_times_below_nought_are_nought() -> None:
    tally = Tally()
    tally.waited([-5.0, 0.0])
    assert (tally.wait, tally.wait_total) == ({0: 2}, 0)


def test_the_rows_of_a_name_are_small() -> None:
    """Each of a month's hours, of two hours' minutes and a month's share of the days, with 1,000 tasks an hour."""
    hours = [len(busy(hour, 1000).encode(490_000 + hour)) for hour in range(50)]
    minutes = [len(busy(minute, 17).encode(29_000_000 + minute)) for minute in range(50)]
    rows = (KEPT[3600] + 31) * max(hours) + KEPT[60] * max(minutes)
    assert rows < 100_000  # the rest is what Redis takes for each, see bench/statistics.py
