"""Source: what the thread that reads reads each time: a snapshot of all, and what the view and the page that are open show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hotqueue.monitor import finding, one_task
from hotqueue.monitor.one_task import OneTask
from hotqueue.monitor.snapshot import Snapshot, Snapshots
from hotqueue.store.store import Store
from hotqueue.watch.columns import Row
from hotqueue.watch.page import TaskPage
from hotqueue.watch.reading import Turns
from hotqueue.watch.view import View


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        changes: how `view` was when it was read for.
        rows: None where it was not the turn of the table.
    """

    snapshot: Snapshot
    view: View
    changes: int
    rows: list[Row] | None
    page: TaskPage | None
    task: OneTask | None


class Source:
    """Where facts come from.

    Args:
        names: of queues, and globs; none: all of the store.
        every: seconds for which a snapshot is good.
        shown: returns the view and the page that are open.
    """

    def __init__(
        self, store: Store, names: Sequence[str], every: float, shown: Callable[[], tuple[View, TaskPage | None]]
    ) -> None:
        self._store, self._every, self._shown = store, every, shown
        self._snapshots = Snapshots(store, names)
        self._read_at = -every
        self._turns = Turns()

    def outdate(self) -> None:
        """Have the next who reads see what somebody has changed just now."""
        self._read_at = -self._every

    def read(self) -> Found:
        """Read what is shown.

        Raises:
            ConnectionFailed: the server is away.
        """
        view, page = self._shown()
        changes = view.changes
        if time.monotonic() - self._read_at > self._every / 2:  # else a key asks for more of the same moment
            self._snapshots.outdate()
            self._read_at = time.monotonic()
        snapshot = self._snapshots.get()
        rows, turn = None, (view.name, changes)
        if self._turns.is_due(turn):
            rows = self._turns.time(turn, view.every, lambda: view.read(self._store, snapshot))
        return Found(snapshot, view, changes, rows, page, self._look(page, snapshot) if page else None)

    def _look(self, page: TaskPage, snapshot: Snapshot) -> OneTask | None:
        if not page.queue:
            names = [queue.name for queue in snapshot.queues if not queue.is_newer]
            page.queue = next(iter(finding.queues_of(self._store, page.task_id, names)), "")
        return one_task.look(self._store, page.queue, page.task_id) if page.queue else None


def known(snapshot: Snapshot | None, views: Iterable[View]) -> Mapping[str, Iterable[str]]:
    """Return the names that a filter may be completed with: those that were seen."""
    if snapshot is None:
        return {}
    tasks = {row.fact.task for view in views for row in view.rows if hasattr(row.fact, "task")}
    return {"queue": snapshot.by_name, "task": tasks, "worker": [each.id for each in snapshot.workers]}
