"""Tasks by name: how often each runs, fails and is tried again, and how long it takes; and one of them, with its slowest runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hotqueue.monitor import ended
from hotqueue.monitor.statistics import Series, Span
from hotqueue.web import times
from hotqueue.web.page import Action, NotThere, Page, View
from hotqueue.web.paging import paged, sorted_by

MOST = 20  # queues of which names are read, those with most to do
LOOKED_AT = 1000  # of the last ended tasks, for the slowest and those that failed
SHOWN = 10  # of these


class Named:
    """What happened to the tasks of one name.

    Attributes:
        rate: how many ended in a minute.
        failures: which part of those failed; None where none ended.
    """

    def __init__(self, series: Series) -> None:
        self.series = series
        self.task, self.queue = series.task, series.queue
        self.total: Span = series.total
        self.succeeded, self.failed, self.retried = (self.total.counts[what] for what in ("succeeded", "failed", "retried"))
        count = self.succeeded + self.failed
        self.rate = 60 * count / (series.step * len(series.spans))
        self.failures = self.failed / count if count else None
        self.p50, self.p95 = (self.total.run.quantile(q) for q in (0.5, 0.95))
        self.ended: Sequence[int] = [span.counts["succeeded"] + span.counts["failed"] for span in series.spans]


COLUMNS: dict[str, Callable[[Named], Any]] = {
    "name": lambda named: (named.task, named.queue),
    "rate": lambda named: named.rate,
    "failed": lambda named: named.failures or 0.0,
    "retried": lambda named: named.retried,
    "p50": lambda named: named.p50 or 0.0,
    "p95": lambda named: named.p95 or 0.0,
    "time": lambda named: named.total.run.total,
}


def names(view: View) -> dict[str, Any]:
    """Return what the list shows."""
    period, queue, sought = times.period_of(view), view.query.get("queue", ""), view.query.get("q", "").strip()
    queues = [queue] if queue else busiest(view)
    found = [Named(series) for series in view.history.by_task(queues, period.step, period.spans)]
    found = [named for named in found if sought.casefold() in named.task.casefold()]
    rows, order = sorted_by(view, found, COLUMNS, "rate")
    left_out = 0 if queue else max(0, len(view.snapshot.queues) - len(queues))
    more = {"period": period, "periods": times.PERIODS, "left_out": left_out, "queue": queue, "sought": sought}
    return {"order": order, "rows": paged(view, rows), **more}


def busiest(view: View) -> list[str]:
    """Return the queues with most to do, those with workers first."""
    found = sorted(view.snapshot.queues, key=lambda queue: (-queue.running, -bool(queue.workers), -queue.unfinished, queue.name))
    return sorted(queue.name for queue in found[:MOST])


def one_name(view: View) -> dict[str, Any]:
    """Return what the page of one name shows."""
    period, queue, task = times.period_of(view), view.query.get("queue", ""), view.query.get("task", "")
    if not queue or not task:
        raise NotThere("The address has to say which queue and which task.")
    series = view.history.series(queue, task, period.step, period.spans)
    marks = view.history.deploys([queue])
    named = Named(series)
    charts = {
        "ended": times.throughput(series, period, marks),
        "run": times.lasted(series, period, "run", "Run time", marks),
        "wait": times.lasted(series, period, "wait", "Wait time, from due to start", marks),
        "spread": times.spread(named.total.run, "Run time, how it is spread"),
    }
    some = [row for row in ended.rows(view.store, queue, LOOKED_AT) if row.task == task]
    slowest = sorted((row for row in some if row.run is not None), key=lambda row: -(row.run or 0))[:SHOWN]
    failed = [row for row in some if row.outcome not in ("succeeded", "")][:SHOWN]
    more = {"period": period, "periods": times.PERIODS, "charts_of": charts}
    return {"title": task, "named": named, "slowest": slowest, "failed": failed, **more}


PAGES = (Page("/names", "Tasks by name", "names.html", names), Page("/names/one", "", "name.html", one_name, "Tasks by name"))
ACTIONS: tuple[Action, ...] = ()
