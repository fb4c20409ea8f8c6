"""The schedules of a store: when each fires next, what it calls, who declares it. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from hotqueue.monitor import finding
from hotqueue.monitor.acting import queue_at
from hotqueue.store.store import Store
from hotqueue.tasks.client.schedule import Schedule


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule in a list.

    Attributes:
        when: in words: a cron string with its zone, or ``every 30 s``.
        next_run: None while it is paused, over, or declared by no live worker.
        declared_by: live workers that declare it; none of one that a program made.
    """

    name: str
    queue: str
    task: str
    when: str
    next_run: datetime | None
    last_run: datetime | None
    is_paused: bool
    declared_by: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints of it."""
        return {n: v.isoformat(timespec="seconds") if isinstance(v, datetime) else v for n, v in asdict(self).items()}


def schedules(store: Store, queues: Sequence[str], refused: list[str] | None = None) -> list[ScheduleRow]:
    """Return the schedules of some queues, by their names.

    Args:
        refused: gets a sentence for each queue that cannot be read.
    """

    def read(queue: str) -> list[ScheduleRow]:
        return [row_of(queue, each) for each in queue_at(store, queue).schedules()]

    return [row for rows in finding.each(queues, read, [] if refused is None else refused) for row in rows]


def row_of(queue: str, schedule: Schedule) -> ScheduleRow:
    """Return what is shown of a schedule."""
    when = f"every {schedule.when:g} s" if isinstance(schedule.when, int | float) else f"{schedule.when} {schedule.tz}"
    runs = schedule.next_run, schedule.last_run
    return ScheduleRow(schedule.name, queue, schedule.task, when, *runs, schedule.is_paused, schedule.declared_by)
