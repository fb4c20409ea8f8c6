"""What happened over time, as charts: how much, how long it took, how that is spread; and which spans one may look at. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hotqueue.monitor.statistics import Histogram, Mark, Series
from hotqueue.web.charts import Chart, Line, chart
from hotqueue.web.page import View
from hotqueue.web.templating import number, span

ZONE = "UTC"  # of all times
QUANTILES = ((0.5, "p50", "one"), (0.95, "p95", "two"), (0.99, "p99", "three"))


@dataclass(frozen=True)
class Period:
    """A stretch of time that one may look at.

    Attributes:
        name: in the address.
        step: seconds of a span.
        form: how the beginning of a span is written.
    """

    name: str
    label: str
    step: int
    spans: int
    form: str


PERIODS = (
    Period("hour", "Hour", 60, 60, "%H:%M"),
    Period("day", "Day", 3600, 24, "%d %b %H:%M"),
    Period("month", "Month", 86400, 30, "%d %b"),
)


def period_of(view: View) -> Period:
    """Return the stretch that the address asks for."""
    return next((period for period in PERIODS if period.name == view.query.get("span")), PERIODS[0])


def throughput(series: Series, period: Period, marks: Sequence[Mark] = ()) -> Chart:
    """Return how many tasks ended well, failed or are to be tried again."""
    kinds = (("Succeeded", "succeeded", "ok"), ("Retried", "retried", "note"), ("Failed", "failed", "bad"))
    lines = [Line(name, kind, [each.counts[what] for each in series.spans]) for name, what, kind in kinds]
    title = f"Tasks that ended, per {'minute' if period.step == 60 else 'hour' if period.step == 3600 else 'day'}"
    return chart(title, _labels(series, period), lines, number, is_stacked=True, marks=_marked(series, period, marks), zone=ZONE)


def lasted(series: Series, period: Period, what: str, title: str, marks: Sequence[Mark] = ()) -> Chart:
    """Return how long something took.

    Args:
        what: "run" or "wait".
    """
    found: list[Histogram] = [getattr(each, what) for each in series.spans]
    lines = [Line(name, kind, [each.quantile(q) for each in found]) for q, name, kind in QUANTILES]
    return chart(title, _labels(series, period), lines, span, marks=_marked(series, period, marks), zone=ZONE)


def spread(histogram: Histogram, title: str) -> Chart:
    """Return how many took how long: a column for each doubling of time, as a bucket ends there or before."""
    found: dict[float, int] = {}
    for upper, count in histogram.buckets:
        edge = 0.001
        while edge < upper:
            edge *= 2
        found[edge] = found.get(edge, 0) + count
    edges = []
    if found:
        edge = min(found)
        while edge <= max(found):
            edges.append(edge)
            edge *= 2
    labels = [f"≤ {span(edge)}" for edge in edges]
    return chart(title, labels, [Line("Runs", "one", [found.get(edge, 0) for edge in edges])], number, is_stacked=True)


def _labels(series: Series, period: Period) -> list[str]:
    return [format(each.at, period.form) for each in series.spans]


def _marked(series: Series, period: Period, marks: Sequence[Mark]) -> list[tuple[int, str]]:
    """Return the columns at which something was deployed."""
    if not series.spans:
        return []
    first: datetime = series.spans[0].at
    at = [
        (int((mark.at - first) / timedelta(seconds=period.step)), f"{mark.version} deployed")
        for mark in marks
        if mark.at >= first
    ]
    return [(column, text) for column, text in at if column < len(series.spans)]
