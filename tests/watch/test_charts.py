"""Numbers in narrow columns, and charts of one line."""

from __future__ import annotations

import pytest

from hotqueue.watch import charts


def test_the_newest_value_is_at_the_right_and_the_largest_as_high_as_the_line() -> None:
    assert charts.sparkline([1, 8, 0, 4], 6) == "  ▁█ ▄"
    assert charts.sparkline([9, 9, 1, 2], 2) == "▄█"
    assert charts.sparkline([], 3) == charts.sparkline([0, 0], 3) == "   "


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (9999, "9999"), (10_000, "10.0k"), (99_960, "100k"), (1_234_567, "1.2M"), (5e9, "5.0G")]
)
def test_a_count_takes_five_columns_at_most(number: float, shown: str) -> None:
    assert charts.count(number) == shown
    assert len(shown) <= 5


def test_rates() -> None:
    assert [charts.rate(each) for each in (None, 0, 0.01, 0.34, 9.96, 1234.0)] == ["", "0", "<0.1", "0.3", "10", "1234"]


def test_seconds() -> None:
    shown = [
        charts.seconds(each)
        for each in (None, 0.0, 4e-8, 0.00004, 0.0004, 0.0009996, 0.012, 1.24, 45.2, 720, 3 * 3600, 4 * 86400)
    ]
    assert max(map(len, shown)) <= 5
    assert shown == ["", "0s", "<1µs", "40µs", "400µs", "1ms", "12ms", "1.2s", "45s", "12m", "3h", "4d"]


def test_shares() -> None:
    assert [charts.percent(*each) for each in ((0, 0), (0, 9), (1, 9999), (1, 50), (1, 2))] == ["", "0", "<0.1%", "2.0%", "50%"]
