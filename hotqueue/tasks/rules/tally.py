"""Tally: how often what happened to tasks of one name in one span of time, and how long it took; as a row of bytes. Pure.

A row is small, as there are many: numbers in seven bits a byte, the buckets of a histogram one after the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from hotqueue.tasks.rules.histogram import MICRO, Histogram, bucket_of, end_of, of_numbers, of_times

COUNTS = ("enqueued", "started", "succeeded", "failed", "retried", "lost", "parked")
STEPS = (60, 3600, 86400)  # seconds of a span
EVER = 10**12  # the same of the one span in which all is
FOLDED = (*STEPS, EVER)
KEPT = {60: 121, 3600: 24 * 31 + 1, 86400: 366, EVER: 1}  # spans that are kept of each, with the one that goes on
KEEP_ENDED = 10_000  # tasks that have ended and can be listed, if nobody says otherwise
MOST_ATTEMPTS = 100  # of more, it is not known how many
_VERSION = 3
_TOTALS = len(COUNTS)  # of a row's numbers, which is the first behind the counts
_LONGEST = 20  # bytes in which the number of a span stands

Buckets = dict[int, int]


@dataclass
class Tally:
    """What happened in a span.

    Attributes:
        counts: how often each of COUNTS.
        run, wait: bucket → how many; run_total, wait_total: the sums, in microseconds.
        attempts: how many attempts → how many tasks.
    """

    counts: dict[str, int] = field(default_factory=dict)
    run: Buckets = field(default_factory=dict)
    wait: Buckets = field(default_factory=dict)
    attempts: Buckets = field(default_factory=dict)
    run_total: int = 0
    wait_total: int = 0

    def count(self, what: str, by: int = 1) -> None:
        """Count something."""
        self.counts[what] = self.counts.get(what, 0) + by

    def ran(self, seconds: Iterable[float]) -> None:
        """Take in how long runs took."""
        self.run_total += _spread(self.run, seconds)

    def waited(self, seconds: Iterable[float]) -> None:
        """Take in how long tasks waited."""
        self.wait_total += _spread(self.wait, seconds)

    def needed(self, attempts: int) -> None:
        """Take in how many attempts a task needed that has ended."""
        attempts = min(attempts, MOST_ATTEMPTS)
        self.attempts[attempts] = self.attempts.get(attempts, 0) + 1

    def add(self, other: Tally) -> None:
        """Take in another."""
        for own, its in ((self.counts, other.counts), (self.run, other.run), (self.wait, other.wait)):
            _add(own, its)  # type: ignore[arg-type]
        _add(self.attempts, other.attempts)
        self.run_total += other.run_total
        self.wait_total += other.wait_total

    def histograms(self) -> tuple[Histogram, Histogram, Histogram]:
        """Return those of runs, waits and attempts."""
        return of_times(self.run, self.run_total), of_times(self.wait, self.wait_total), of_numbers(self.attempts)

    def encode(self, span: int) -> bytes:
        """Return the row of a span, by its number."""
        out = bytearray(_begin(span))
        for what in COUNTS:
            _put(out, self.counts.get(what, 0))
        _put(out, self.run_total)
        _put(out, self.wait_total)
        for buckets in (self.run, self.wait, self.attempts):
            _put_buckets(out, buckets)
        return bytes(out)


def _spread(buckets: Buckets, seconds: Iterable[float]) -> int:
    """Put times into buckets; return their sum in microseconds."""
    ordered = sorted(seconds)
    at, n = 0, len(ordered)
    total = int(sum(ordered if n and ordered[0] >= 0 else [each for each in ordered if each > 0]) * MICRO)
    while at < n:
        bucket = bucket_of(int(ordered[at] * MICRO))
        after = max(at + 1, bisect_left(ordered, end_of(bucket) / MICRO, at))
        buckets[bucket] = buckets.get(bucket, 0) + after - at
        at = after
    return total


def _add(own: dict[int, int], its: dict[int, int]) -> None:
    for what, number in its.items():
        own[what] = own.get(what, 0) + number


@lru_cache(maxsize=1024)
def _begin(span: int) -> bytes:
    """Return how the row of a span begins."""
    out = bytearray([_VERSION])
    _put(out, span)
    return bytes(out)


def _put(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _put_buckets(out: bytearray, buckets: Buckets) -> None:
    """Put how many there are, and the first; the numbers of one after another; of gaps, 0 and how wide."""
    filled = sorted(bucket for bucket, number in buckets.items() if number)
    _put(out, len(filled))
    following = filled[0] if filled else 0
    if filled:
        _put(out, following)
    for bucket in filled:
        if bucket > following:
            _put(out, 0)
            _put(out, bucket - following)
        _put(out, buckets[bucket])
        following = bucket + 1


def _read_buckets(numbers: Sequence[int], at: int) -> tuple[Buckets, int]:
    """Return the buckets that begin at a place, and where they end."""
    buckets, left = Buckets(), numbers[at]
    if not left:
        return buckets, at + 1
    bucket, at = numbers[at + 1], at + 2
    while left:
        number = numbers[at]
        at += 1
        if number:
            buckets[bucket] = number
            bucket += 1
            left -= 1
        else:
            bucket += numbers[at]
            at += 1
    return buckets, at


def decode(row: bytes, span: int) -> Tally | None:
    """Return what is in the row of a span; None where it is of another, or was written by nobody of ours."""
    begin = _begin(span)
    if not row.startswith(begin):
        return None
    numbers = _numbers(row[len(begin) :])
    try:
        run_total, wait_total = numbers[_TOTALS], numbers[_TOTALS + 1]
        run, at = _read_buckets(numbers, _TOTALS + 2)
        wait, at = _read_buckets(numbers, at)
        attempts, _ = _read_buckets(numbers, at)
    except IndexError:
        return None
    return Tally(dict(zip(COUNTS, numbers[:_TOTALS], strict=True)), run, wait, attempts, run_total, wait_total)


def _numbers(row: bytes) -> list[int]:
    """Return the numbers that stand in bytes; a list, as a look at many queues reads tens of thousands of rows."""
    found: list[int] = []
    number = shift = 0
    for byte in row:
        if byte > 127:
            number |= (byte & 127) << shift
            shift += 7
        elif shift:
            found.append(number | byte << shift)
            number = shift = 0
        else:
            found.append(byte)
    return found


def span_of(row: bytes) -> int:
    """Return the number of the span of which a row is; -1 of what is none."""
    return next(iter(_numbers(row[1:_LONGEST])), -1) if row and row[0] == _VERSION else -1
