"""What happened over time, as charts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hotqueue.monitor.statistics import COUNTS, Mark, Series, Span
from hotqueue.tasks.rules.histogram import Histogram
from hotqueue.web import times
from tests.monitor.test_history import now
from tests.web.test_page import view

HOUR = times.PERIODS[0]


def series() -> Series:
    counts = dict.fromkeys(COUNTS, 0)
    first = Span(now() - timedelta(minutes=1), {**counts, "succeeded": 5, "failed": 1}, Histogram(6, 1.2, ((0.1, 3), (0.4, 3))))
    return Series("mail", "", 60, (first, Span(now(), counts)))


@pytest.mark.parametrize(("asked", "name"), [("day", "day"), ("none", "hour"), ("", "hour")])
def test_a_period_is_one_that_there_is(asked: str, name: str) -> None:
    assert times.period_of(view(query={"span": asked})).name == name


def test_throughput_says_how_tasks_ended_and_what_was_deployed() -> None:
    marks = [Mark(now(), "v2", "ann"), Mark(now() - timedelta(hours=5), "v1", "ann")]
    made = times.throughput(series(), HOUR, marks)
    assert [(line.name, list(line.values)) for line in made.lines] == [
        ("Succeeded", [5, 0]),
        ("Retried", [0, 0]),
        ("Failed", [1, 0]),
    ]
    assert made.marks == [(1, "v2 deployed")]
    assert made.title == "Tasks that ended, per minute"
    assert made.tip(0).splitlines()[1] == "Succeeded\t5"


def test_times_are_quantiles_with_gaps_where_nothing_ended() -> None:
    made = times.lasted(series(), HOUR, "run", "Run time")
    assert [line.name for line in made.lines] == ["p50", "p95", "p99"]
    assert made.lines[0].values[0] == pytest.approx(0.1, rel=0.2)
    assert made.lines[0].values[1] is None


def test_a_spread_has_a_column_for_each_doubling() -> None:
    made = times.spread(Histogram(6, 1.2, ((0.1, 3), (0.11, 1), (1.0, 2))), "Spread")
    assert made.labels == ["≤ 128 ms", "≤ 256 ms", "≤ 512 ms", "≤ 1.0 s"]
    assert list(made.lines[0].values) == [4, 0, 0, 2]
    assert times.spread(Histogram(), "Spread").wide == 0


def test_nothing_at_all_is_a_chart_too() -> None:
    assert times.throughput(Series("", "", 60, ()), HOUR, [Mark(now(), "v1")]).wide == 0
