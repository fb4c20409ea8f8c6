"""The overview: how all queues, workers and the server are and were, and what somebody should look at."""

from __future__ import annotations

from typing import Any

from hotqueue.web import times
from hotqueue.web.page import Action, Page, View

MOST = 10  # queues that are shown, those with most to do


def overview(view: View) -> dict[str, Any]:
    """Return what the page shows."""
    now, period = view.snapshot, times.period_of(view)
    names = [queue.name for queue in now.queues if not (queue.is_newer or queue.refused)]
    ages = view.history.oldest([queue.name for queue in now.queues if queue.waiting])
    marks = view.history.deploys(names)
    series = view.history.overall(names, period.step, period.spans)  # the last: it may go on while this page is made
    charts = series and {
        "ended": times.throughput(series, period, marks),
        "run": times.lasted(series, period, "run", "Run time", marks),
        "wait": times.lasted(series, period, "wait", "Wait time, from due to start", marks),
    }
    return {
        "now": now,
        "totals": {what: now.total(what) for what in ("waiting", "running", "scheduled", "parked", "dead")},
        "oldest": max(ages.items(), key=lambda pair: pair[1], default=None),
        "happened": series and series.total,
        "charts_of": charts,
        "busiest": sorted(now.queues, key=lambda queue: (-queue.items - queue.running, queue.name))[:MOST],
        "period": period,
        "periods": times.PERIODS,
        "deploys": marks[-3:],
    }


PAGES = (Page("/", "Overview", "overview.html", overview),)
ACTIONS: tuple[Action, ...] = ()
