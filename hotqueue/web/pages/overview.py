"""The overview: how all queues, workers and the server are, and what somebody should look at."""

from __future__ import annotations

from typing import Any

from hotqueue.web.page import Action, Page, View

MOST = 12  # queues that are shown, those with most to do


def overview(view: View) -> dict[str, Any]:
    """Return what the page shows."""
    now = view.snapshot
    totals = {what: now.total(what) for what in ("waiting", "running", "scheduled", "parked", "dead", "messages")}
    busiest = sorted(now.queues, key=lambda queue: (-queue.items - queue.running, queue.name))[:MOST]
    return {"now": now, "totals": totals, "busiest": busiest}


PAGES = (Page("/", "Overview", "overview.html", overview),)
ACTIONS: tuple[Action, ...] = ()
