"""The queues: how much is in each, as a list that can be searched and sorted; pausing, resuming and emptying one."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from hotqueue.monitor import finding
from hotqueue.monitor.acting import queue_at
from hotqueue.monitor.crowd import QueueFacts
from hotqueue.queue import HotQueue
from hotqueue.web import times
from hotqueue.web.page import Action, CannotDo, Form, NotThere, Page, Said, View
from hotqueue.web.pages.workers import programs
from hotqueue.web.paging import paged, sorted_by
from hotqueue.web.templating import plural

SELECTED = 500  # queues that a form may name

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
    found = _sought(view, sought)
    rows, order = sorted_by(view, found, COLUMNS, "waiting")
    return {"now": view.snapshot, "sought": sought, "order": order, "rows": paged(view, rows)}


def _sought(view: View, text: str) -> list[QueueFacts]:
    return [queue for queue in view.snapshot.queues if not text or matches(queue.name, text)]


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
    """Have workers fetch nothing from some queues; or start no task of a name, of a key, of one."""
    return _each(view, form, "paused", lambda queue: queue.pause(**_part(form)))


def resume(view: View, form: Form) -> Said:
    """Have them do so again."""
    return _each(view, form, "resumed", lambda queue: queue.resume(**_part(form)))


def _each(view: View, form: Form, done: str, act: Callable[[HotQueue], object]) -> Said:
    """Do something to each of the queues that a form means; one that cannot be, newer than we are, holds up no other."""
    names, failed = _meant(view, form), list[str]()
    if len(names) == 1:
        act(queue_at(view.store, names[0]))
        what = _what(form, names[0])
        return Said(f"{what} {'is paused' if done == 'paused' else 'goes on'}", what)
    for _ in finding.each(names, lambda name: act(queue_at(view.store, name)), failed):
        pass
    if len(names) == len(failed):
        raise CannotDo("; ".join(failed[:3]))
    rest = f"; not of {len(failed)}: {'; '.join(failed[:3])}" if failed else ""
    which = f"queues {', '.join(names[:20])}{' …' * (len(names) > 20)}"
    return Said(f"{plural(len(names) - len(failed), 'queue is', 'queues are')} {done}{rest}", which)


def _meant(view: View, form: Form) -> list[str]:
    """Return the queues that a form means: one of a row, those that are selected, or all that are sought."""
    if only := form.one("only"):
        names: list[str] = [only]
    elif form.one("all"):
        names = [queue.name for queue in _sought(view, form.one("q").strip())]
    else:
        names = list(dict.fromkeys(form.get("queue", ())))
    if not names:
        raise CannotDo("no queue is selected")
    if len(names) > SELECTED and not form.one("all"):
        raise CannotDo(f"at most {SELECTED} queues are selected one by one: take all")
    for name in () if form.one("all") else names:
        if view.snapshots.find(name) is None:
            raise CannotDo(f"there is no queue {name!r:.80}")
    return names


def _part(form: Form) -> dict[str, Any]:
    return {what: form.one(what) for what in ("task", "key") if form.one(what)}


def _what(form: Form, name: str) -> str:
    part = next((f"{what} {form.one(what)} of " for what in ("task", "key") if form.one(what)), "")
    return f"{part}queue {name}"


def purge(view: View, form: Form) -> Said:
    """Revoke all that has not ended in a queue."""
    name = _known(view, form)
    count = queue_at(view.store, name).revoke_all(all=True)
    return Said(f"{plural(count, 'task')} of queue {name} will not run", f"queue {name}")


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
