"""The queues: how much is in each, as a list that can be searched and sorted; pausing, resuming and emptying one."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from hotqueue.monitor.acting import queue_at
from hotqueue.monitor.crowd import QueueFacts
from hotqueue.web import times
from hotqueue.web.page import Action, CannotDo, Form, NotThere, Page, Said, View
from hotqueue.web.pages.workers import programs
from hotqueue.web.paging import paged, sorted_by

COLUMNS: dict[str, Callable[[QueueFacts], Any]] = {
    "name": lambda queue: queue.name,
    "waiting": lambda queue: queue.waiting,
    "running": lambda queue: queue.running,
    "scheduled": lambda queue: queue.scheduled,
    "dead": lambda queue: queue.dead,
    "workers": lambda queue: queue.workers,
    "messages": lambda queue: queue.messages,
}


def queues(view: View) -> dict[str, Any]:
    """Return what the list shows."""
    sought = view.query.get("q", "").strip()
    found = [queue for queue in view.snapshot.queues if not sought or matches(queue.name, sought)]
    rows, order = sorted_by(view, found, COLUMNS, "waiting")
    return {"now": view.snapshot, "sought": sought, "order": order, "rows": paged(view, rows)}


def matches(name: str, sought: str) -> bool:
    """Tell whether a name is what somebody looks for: a part of it, or a glob."""
    return fnmatchcase(name, sought) if any(sign in sought for sign in "*?[") else sought.casefold() in name.casefold()


def one_queue(view: View) -> dict[str, Any]:
    """Return what the page of one queue shows."""
    name = view.params["queue"]
    queue = view.snapshots.find(name)
    if queue is None:
        raise NotThere(f"There is no queue {name!r}, or it is empty and has no worker.")
    workers = [worker for worker in view.snapshot.workers if name in worker.queues]
    warnings = [warning for warning in view.snapshot.warnings if warning.queue == name]
    period, charts = times.period_of(view), {}
    if not (queue.is_newer or queue.refused):
        series, marks = view.history.series(name, "", period.step, period.spans), view.history.deploys([name])
        charts = {
            "ended": times.throughput(series, period, marks),
            "run": times.lasted(series, period, "run", "Run time", marks),
            "wait": times.lasted(series, period, "wait", "Wait time, from due to start", marks),
        }
    more = {"period": period, "periods": times.PERIODS, "charts_of": charts}
    return {"title": name, "queue": queue, "programs": programs(workers), "warnings": warnings, **more}


def pause(view: View, form: Form) -> Said:
    """Have workers fetch nothing from a queue; or start no task of a name, of a key."""
    name = _known(view, form)
    queue_at(view.store, name).pause(**_part(form))
    return Said(f"{_what(form, name)} is paused", _what(form, name))


def resume(view: View, form: Form) -> Said:
    """Have them do so again."""
    name = _known(view, form)
    queue_at(view.store, name).resume(**_part(form))
    return Said(f"{_what(form, name)} goes on", _what(form, name))


def _part(form: Form) -> dict[str, Any]:
    return {what: form.one(what) for what in ("task", "key") if form.one(what)}


def _what(form: Form, name: str) -> str:
    part = next((f"{what} {form.one(what)} of " for what in ("task", "key") if form.one(what)), "")
    return f"{part}queue {name}"


def purge(view: View, form: Form) -> Said:
    """Revoke all that has not ended in a queue."""
    name = _known(view, form)
    count = queue_at(view.store, name).revoke_all(all=True)
    return Said(f"{count} task{'s'[: count != 1]} of queue {name} will not run", f"queue {name}")


def _known(view: View, form: Form) -> str:
    name = form.need("queue")
    if view.snapshots.find(name) is None:
        raise CannotDo(f"there is no queue {name!r:.80}")
    return name


PAGES = (
    Page("/queues", "Queues", "queues.html", queues),
    Page("/queues/{queue:path}", "", "queue.html", one_queue, "Queues"),
)
ACTIONS = (Action("pause", "pause", pause), Action("resume", "pause", resume), Action("purge", "purge", purge))
