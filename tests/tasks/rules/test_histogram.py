"""Histograms: buckets without gaps, quantiles right to within a tenth however values are spread, sums of two."""

from __future__ import annotations

import random

import pytest

from hotqueue.tasks.rules.histogram import MICRO, NONE, Histogram, bounds_of, bucket_of, end_of, of_numbers, of_times, summed


def spread(values: list[int]) -> Histogram:
    found: dict[int, int] = {}
    for value in values:
        found[bucket_of(value)] = found.get(bucket_of(value), 0) + 1
    return of_times(found, sum(values))


def test_each_value_is_in_its_bucket() -> None:
    for value in [*range(1, 5000), *(2**n + off for n in range(13, 60) for off in (-1, 0, 1))]:
        low, high = bounds_of(bucket_of(value))
        assert low <= value < high
        assert high / low <= 1.1898
        assert bucket_of(end_of(bucket_of(value)) - 1) == bucket_of(value) < bucket_of(end_of(bucket_of(value)))
    assert bucket_of(0) == bucket_of(-5) == 0
    assert end_of(0) == 1


def test_buckets_follow_on_each_other() -> None:
    assert all(bounds_of(bucket)[1] == pytest.approx(bounds_of(bucket + 1)[0]) for bucket in range(1, 300))


@pytest.mark.parametrize("seed", range(5))
def test_a_quantile_is_right_to_within_a_tenth(seed: int) -> None:
    draw = random.Random(seed)
    values = sorted(int(draw.lognormvariate(draw.uniform(4, 14), draw.uniform(0.1, 3))) + 1 for _ in range(2000))
    found = spread(values)
    assert found.count == 2000
    assert found.total == pytest.approx(sum(values) / MICRO)
    assert found.mean == pytest.approx(sum(values) / MICRO / 2000)
    for q in (0.01, 0.5, 0.9, 0.95, 0.99, 1.0):
        is_so = values[max(0, -(-int(q * 20000) // 10) - 1)] / MICRO
        assert found.quantile(q) == pytest.approx(is_so, rel=0.095)


def test_two_are_added() -> None:
    one, two = [5, 5, 70, 1_000_000], [6, 70]
    both = spread(one) + spread(two)
    assert (both.count, both.buckets) == (6, spread(one + two).buckets)
    assert both.total == pytest.approx(1.000156)
    assert Histogram() + spread(one) == spread(one) + Histogram() == spread(one)
    assert Histogram().mean is None
    assert Histogram().quantile(0.5) is None


def test_whole_numbers_are_as_they_are() -> None:
    found = of_numbers({1: 90, 2: 9, 7: 1})
    assert (found.count, found.total, found.quantile(0.5), found.quantile(0.95), found.quantile(1)) == (100, 115, 1, 2, 7)
    assert (of_numbers({3: 1}) + of_numbers({3: 2})).quantile(0.5) == 3


def test_many_are_summed_at_once() -> None:
    some = [of_times({bucket_of(1000 * n): n, 40: 1}, 1000 * n) for n in range(1, 9)]
    one_by_one = some[0]
    for each in some[1:]:
        one_by_one += each
    every = summed([NONE, *some, NONE])
    assert (every.count, every.buckets, every.middle) == (one_by_one.count, one_by_one.buckets, one_by_one.middle)
    assert every.total == pytest.approx(one_by_one.total)
    assert (summed([]), summed([NONE, NONE]), summed([NONE, some[0]])) == (NONE, NONE, some[0])
