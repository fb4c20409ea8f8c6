"""Workflows: those that are under way or failed, and one as a picture with its steps in the colours of their states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hotqueue.monitor import finding, one_task
from hotqueue.monitor import workflows as facts
from hotqueue.monitor.workflow_picture import HEIGHT, WIDTH, Box
from hotqueue.monitor.workflows import OneWorkflow
from hotqueue.web.page import Action, NotThere, Page, View

QUEUES = 6  # that are looked through for workflows, those with most steps
SHOWN, COUNTED = 12, 500  # workflows of a list; steps of each whose states are counted
ERRORS = 5


@dataclass(frozen=True)
class Failed:
    """A step that failed, and what it said."""

    id: str
    task: str
    queue: str
    error: str
    traceback: str


def workflows(view: View) -> dict[str, Any]:
    """Return what the list shows."""
    sought = view.query.get("id", "").strip()
    queues = [queue.name for queue in sorted(view.snapshot.queues, key=lambda each: -each.steps) if queue.steps or queue.dead]
    rows = [] if not sought else _sought(view, sought)
    refused: list[str] = []
    recent = finding.each(queues[:QUEUES] if not sought else (), lambda name: (name, facts.recent(view.store, name)), refused)
    for name, ids in recent:
        rows += _looked(view, name, ids[: SHOWN - len(rows)], refused)
    return {"sought": sought, "rows": rows, "counted": COUNTED, "refused": refused, "more": not sought and len(rows) >= SHOWN}


def _looked(view: View, queue: str, ids: Sequence[str], refused: list[str]) -> list[OneWorkflow]:
    """Return these workflows; one of which a key is wrong hides no other."""
    found = finding.each(ids, lambda workflow_id: facts.look(view.store, queue, workflow_id, COUNTED), refused)
    return [each for each in found if each is not None]


def _sought(view: View, sought: str) -> list[OneWorkflow]:
    names = [queue.name for queue in view.snapshot.queues][:200]
    queues = finding.queues_of(view.store, sought, finding.likely(view.store, sought, names)) or names[:20]
    found = (facts.look(view.store, name, sought, COUNTED) for name in queues)
    return [each for each in found if each is not None]


def workflow(view: View) -> dict[str, Any]:
    """Return what the page of one shows."""
    workflow_id, queue = view.query.get("id", ""), view.query.get("queue", "")
    found = facts.look(view.store, queue, workflow_id) if queue and workflow_id else None
    if found is None:
        why = "its results have expired, or it was never there"
        raise NotThere(f"There is no workflow {workflow_id!r:.200} in queue {queue!r:.80}: {why}.")
    return {
        "title": f"Workflow {found.id}",
        "workflow": found,
        "picture": found.picture,
        "failed": [_failed(view, step) for step in found.failed[:ERRORS]],
        "link_of": lambda box: _link(view, found, box),
        "width": WIDTH,
        "height": HEIGHT,
    }


def _link(view: View, found: OneWorkflow, box: Box) -> str:
    """Return where a box leads: to its task, or to the list of its tasks."""
    first = found.steps[box.numbers[0]]
    if len(box.numbers) > 1:
        return view.url("/tasks", q=f"queue:{first.queue} id:{found.id}-* task:{first.task}")
    return view.url("/task", queue=first.queue, id=first.id)


def _failed(view: View, step: facts.Step) -> Failed:
    found = one_task.look(view.store, step.queue, step.id)
    if found is None:
        return Failed(step.id, step.task, step.queue, "", "")
    return Failed(step.id, step.task, step.queue, f"{found.error}: {found.message}", found.traceback)


PAGES = (
    Page("/workflows", "Workflows", "workflows.html", workflows),
    Page("/workflow", "", "workflow.html", workflow, "Workflows"),
)
ACTIONS: tuple[Action, ...] = ()
