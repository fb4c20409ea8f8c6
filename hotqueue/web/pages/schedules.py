"""The schedules: when each fired and fires next, in words; running one now, pausing, resuming and removing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hotqueue.monitor import schedules as facts
from hotqueue.monitor.acting import queue_at
from hotqueue.tasks.client.schedule import Schedule
from hotqueue.web.page import Action, CannotDo, Form, Page, Said, View
from hotqueue.web.paging import paged, sorted_by
from hotqueue.web.schedule_words import in_words

COLUMNS: dict[str, Callable[[facts.ScheduleRow], Any]] = {
    "name": lambda row: (row.name, row.queue),
    "queue": lambda row: (row.queue, row.name),
    "task": lambda row: (row.task, row.name),
    "next": lambda row: -row.next_run.timestamp() if row.next_run else float("-inf"),
    "last": lambda row: row.last_run.timestamp() if row.last_run else 0.0,
}


def schedules(view: View) -> dict[str, Any]:
    """Return what the list shows."""
    refused: list[str] = []
    queues = [queue.name for queue in view.snapshot.queues if queue.schedules]
    rows, order = sorted_by(view, facts.schedules(view.store, queues, refused), COLUMNS, "next")
    return {"order": order, "rows": paged(view, rows), "refused": refused, "in_words": in_words}


def _found(view: View, form: Form) -> tuple[str, Schedule]:
    queue, name = form.need("queue"), form.need("name")
    if view.snapshots.find(queue) is None:
        raise CannotDo(f"there is no queue {queue!r:.80}")
    for each in queue_at(view.store, queue).schedules():
        if each.name == name:
            return queue, each
    raise CannotDo(f"there is no schedule {name!r:.80} in queue {queue!r:.80} any more")


def _doing(verb: str, act: Callable[[Schedule], str]) -> Action:
    def do(view: View, form: Form) -> Said:
        queue, schedule = _found(view, form)
        said = act(schedule)
        return Said(f"{schedule.name} {said}", f"schedule {schedule.name} of queue {queue}")

    return Action(f"{verb}-schedule", "schedules", do)


def _run(schedule: Schedule) -> str:
    return f"runs now, as task {schedule.trigger().id}"


def _pause(schedule: Schedule) -> str:
    schedule.pause()
    return "is paused"


def _resume(schedule: Schedule) -> str:
    schedule.resume()
    return "goes on"


def _remove(schedule: Schedule) -> str:
    schedule.remove()
    return "is removed"


PAGES = (Page("/schedules", "Schedules", "schedules.html", schedules),)
ACTIONS = (_doing("run", _run), _doing("pause", _pause), _doing("resume", _resume), _doing("remove", _remove))
