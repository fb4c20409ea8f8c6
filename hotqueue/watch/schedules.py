"""The view of schedules: when each fires next, what it calls, who declares it."""

from __future__ import annotations

from datetime import datetime

from hotqueue.errors import HotQueueError
from hotqueue.monitor import acting, words
from hotqueue.monitor.schedules import ScheduleRow, schedules
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.store.store import Store
from hotqueue.tasks.client.schedule import Schedule
from hotqueue.watch import charts
from hotqueue.watch.columns import Column, Row
from hotqueue.watch.view import Act, Facts, Progress, View, having


def _found(store: Store, row: ScheduleRow) -> Schedule:
    """Return a schedule that is in the list.

    Raises:
        HotQueueError: it is gone.
    """
    for each in acting.queue_at(store, row.queue).schedules():
        if each.name == row.name:
            return each
    raise HotQueueError(f"schedule {row.name!r} is not there any more")


def _toggle(store: Store, facts: Facts, progress: Progress) -> str:
    do_pause = any(not each.is_paused for each in facts)
    some = [each for each in facts if each.is_paused is not do_pause]
    for each in some:
        found = _found(store, each)
        found.pause() if do_pause else found.resume()
        progress(1)
    return f"{', '.join(each.name for each in some[:3])}{' …' * (len(some) > 3)}: {'paused' if do_pause else 'resumed'}"


def _trigger(store: Store, facts: Facts, progress: Progress) -> str:
    sent = []
    for each in facts:
        sent.append(_found(store, each).trigger().id)
        progress(1)
    return f"sent {', '.join(sent[:3])}{' …' * (len(sent) > 3)}"


def _about_triggering(facts: Facts) -> str:
    return f"Have what {', '.join(each.name for each in facts[:3])}{' …' * (len(facts) > 3)} calls run now, once?"


class Schedules(View):
    """Schedules."""

    name = "Schedules"
    about = "when each schedule fires next, what it calls, and who declares it"
    empty = "there is no schedule"
    every = 2.0
    columns = (
        Column("schedule", 16, stretch=3),
        Column("queue", 8, stretch=1, drop=2),
        Column("task", 12, stretch=2, drop=1),
        Column("when", 14, stretch=1),
        Column("next", 8, is_number=True),
        Column("last", 6, is_number=True),
        Column("by", 10, stretch=1, drop=3),
    )
    acts = (
        Act("P", "pause", "have a schedule fire nothing, or fire again", _toggle),
        Act("E", "run now", "have what a schedule calls run now, once (asks)", _trigger, _about_triggering),
    )

    def read(self, store: Store, snapshot: Snapshot) -> list[Row]:
        """Return the schedules, by their names."""
        names = [queue.name for queue in snapshot.queues if queue.schedules and not queue.is_newer]
        return having(map(_row, schedules(store, names)), self.filter)

    def badge(self, snapshot: Snapshot) -> str:
        """Return how many there are."""
        return charts.count(snapshot.total("schedules"))

    def open(self, row: Row) -> tuple[str, str] | None:
        """Return where the tasks are that it calls."""
        return "Tasks", f"task:{row.fact.task} queue:{row.fact.queue}"


def _row(each: ScheduleRow) -> Row:
    following = "paused" if each.is_paused else words.ago(each.next_run) or "never"
    by = ", ".join(each.declared_by) or "a program"
    return Row(
        f"{each.queue}\n{each.name}",
        (
            (each.name, "note" if each.is_paused else "bold"),
            (each.queue, ""),
            (each.task, ""),
            (each.when, ""),
            (following, "note" if each.is_paused else ""),
            (words.ago(each.last_run), "dim"),
            (by, "dim"),
        ),
        (each.name, each.queue, each.task, each.when, _seconds(each.next_run), _seconds(each.last_run), by),
        each,
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
