"""One task: what happened to it and when, why it waits, its result or traceback, its workflow; and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotqueue.monitor import acting, finding, one_task
from hotqueue.monitor.filters import DEAD, RUNNING
from hotqueue.monitor.one_task import OneTask
from hotqueue.monitor.row import Row
from hotqueue.web import page
from hotqueue.web.page import CannotDo, Form, NotThere, Page, Said, View
from hotqueue.web.pages.tasks import key_of, selected

_ENDS = {"failure", "error", "failed", "lost", "killed", "time_limit", "unpicklable"}


def task(view: View) -> dict[str, Any]:
    """Return what the page shows."""
    task_id, queue = view.query.get("id", ""), view.query.get("queue", "")
    if not task_id:
        raise NotThere("The address does not say which task is meant.")
    queues = [queue] if queue else known_by(view, task_id, [each.name for each in view.snapshot.queues])
    for name in queues:
        found = one_task.look(view.store, name, task_id)
        if found is not None:
            return {
                "title": found.task,
                "task": found,
                "key": key_of(Row(found.id, found.task, name, found.state)),
                **_shown(found),
            }
    where = f" in queue {queue!r:.80}" if queue else ""
    raise NotThere(f"There is no task {task_id!r:.200}{where}: it was never sent, or its result has expired.")


def known_by(view: View, task_id: str, names: Sequence[str]) -> list[str]:
    """Return those of some queues that know a task."""
    return finding.queues_of(view.store, task_id, finding.likely(view.store, task_id, names))


def _shown(task: OneTask) -> dict[str, Any]:
    facts = [
        ("Queue", task.queue),
        ("Id", task.id),
        ("Priority", task.priority or ""),
        ("Attempts", task.attempts or ""),
        ("Deaths", task.deliveries or ""),
        ("Sent as", ", ".join(word for word, is_so in _marks(task) if is_so)),
        ("Options", ", ".join(f"{name}={value!r}" for name, value in task.options.items())),
        ("Headers", ", ".join(f"{name}={value!r}" for name, value in task.headers.items())),
    ]
    return {
        "facts": [(label, value) for label, value in facts if value != ""],
        "kind_of": kind_of,
        "is_dead": task.state == DEAD,
        "is_running": task.state == RUNNING,
        "can_be_revoked": task.state not in (DEAD, "ended"),
    }


def _marks(task: OneTask) -> list[tuple[str, bool]]:
    return [("async", task.is_async), ("by value", task.is_by_value), ("signed", task.is_signed)]


def kind_of(what: str) -> str:
    """Return which colour something that happened has."""
    word = what.casefold()
    if word in ("success", "succeeded"):
        return "ok"
    return "bad" if word in _ENDS or "fail" in word or "lost" in word else ""


def stop(view: View, form: Form) -> Said:
    """Revoke a task, and end the process that runs it."""
    chosen = selected(view, form)
    done = acting.revoke(view.store, chosen, terminate=True)
    said = ", ".join(f"{number} {word}" for word, number in done.said.items())
    if not done.said:
        raise CannotDo("there is no such task any more")
    return Said(said, "; ".join(f"tasks {', '.join(ids)} of queue {queue}" for queue, ids in chosen.items()))


PAGES = (Page("/task", "", "task.html", task, "Tasks"),)
ACTIONS = (page.Action("stop-task", "revoke", stop),)
