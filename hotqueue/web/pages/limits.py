"""Limits and lanes: which gates there are, how full each is, who waits there; pausing and resuming a key."""

from __future__ import annotations

from typing import Any

from hotqueue.monitor import finding
from hotqueue.monitor import gates as facts
from hotqueue.web.page import Action, Page, View

QUEUES = 4  # that are shown at once, those with most waiting at gates


def limits(view: View) -> dict[str, Any]:
    """Return what the page shows."""
    asked = view.query.get("queue", "")
    counts = {queue.name: queue.blocked for queue in view.snapshot.queues if not asked or queue.name == asked}
    there = sorted(facts.with_gates(view.store, list(counts)), key=lambda name: -counts[name])
    refused: list[str] = []
    found = list(finding.each(there[:QUEUES], lambda name: facts.look(view.store, name), refused))
    return {"asked": asked, "queues": [each for each in found if each.gates], "others": there[QUEUES:], "refused": refused}


PAGES = (Page("/limits", "Limits", "limits.html", limits),)
ACTIONS: tuple[Action, ...] = ()
