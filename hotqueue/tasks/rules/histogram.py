"""Histograms: buckets of one relative width, so that a quantile is right to within a tenth, however the values are spread. Pure.

An octave, from one power of two to the next, has four buckets, each a fifth wider than the one before: five of one width would be
no better, and one number more to keep. Values are whole: microseconds of a time, or how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

EDGES = (1000, 1189, 1414, 1682, 2000)  # of buckets, in thousandths of their octave's begin: each 2 ** 0.25 times the last
PARTS = len(EDGES) - 1
MICRO = 1_000_000
MIDDLE = 1.095  # by which an upper bound is divided to have what is wrong by 9 % at most of all in its bucket


def bucket_of(value: int) -> int:
    """Return the bucket of a whole value; of 0, and of what is below, that of 0."""
    if value <= 0:
        return 0
    octave = value.bit_length() - 1
    scaled = value * 1000 >> octave
    return PARTS * octave + 1 + (scaled >= 1189) + (scaled >= 1414) + (scaled >= 1682)


def bounds_of(bucket: int) -> tuple[float, float]:
    """Return the lowest value of a bucket, and that which is the lowest of none below the next one."""
    if bucket <= 0:
        return 0, 0
    octave, part = divmod(bucket - 1, PARTS)
    return (EDGES[part] << octave) / 1000, (EDGES[part + 1] << octave) / 1000


@lru_cache(maxsize=512)
def end_of(bucket: int) -> int:
    """Return the lowest whole value that is in none up to a bucket."""
    octave, part = divmod(bucket - 1, PARTS)
    return -(-(EDGES[part + 1] << octave) // 1000) if bucket > 0 else 1


@lru_cache(maxsize=512)
def _upper(bucket: int) -> float:
    """Return the upper bound of a bucket of microseconds, in seconds."""
    return bounds_of(bucket)[1] / MICRO


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values are spread.

    Attributes:
        count: how many there are.
        total: their sum: seconds, or how many.
        buckets: (upper bound, how many), ascending; empty ones left out.
        middle: by which an upper bound is divided to have what is said of its bucket; 1, where values are whole.
    """

    count: int = 0
    total: float = 0.0
    buckets: tuple[tuple[float, int], ...] = ()
    middle: float = MIDDLE

    @property
    def mean(self) -> float | None:
        """Their mean; None of none."""
        return self.total / self.count if self.count else None

    def quantile(self, q: float) -> float | None:
        """Return the value below which this part of them is, to within a tenth; None of none."""
        wanted, seen = q * self.count, 0
        for upper, number in self.buckets:
            seen += number
            if seen >= wanted:
                return upper / self.middle
        return None

    def __add__(self, other: Histogram) -> Histogram:
        return summed([self, other])


NONE = Histogram()


def summed(histograms: Iterable[Histogram]) -> Histogram:
    """Return that of the values of all of them together."""
    some = [each for each in histograms if each.count] or [NONE]
    if len(some) == 1:
        return some[0]
    found: dict[float, int] = {}
    for each in some:
        for upper, number in each.buckets:
            found[upper] = found.get(upper, 0) + number
    spread = tuple(sorted(found.items()))
    return Histogram(sum(each.count for each in some), sum(each.total for each in some), spread, some[0].middle)


def of_times(buckets: Mapping[int, int], total: int) -> Histogram:
    """Return the histogram, in seconds, of times that are in buckets; `total` is their sum in microseconds."""
    spread = tuple([(_upper(bucket), number) for bucket, number in sorted(buckets.items()) if number])
    return Histogram(sum(buckets.values()), total / MICRO, spread)


def of_numbers(numbers: Mapping[int, int]) -> Histogram:
    """Return the histogram of whole numbers, of each of which there are so many."""
    spread = tuple([(float(value), number) for value, number in sorted(numbers.items()) if number])
    total = sum([value * number for value, number in spread])
    return Histogram(sum(numbers.values()), total, spread, 1.0)
