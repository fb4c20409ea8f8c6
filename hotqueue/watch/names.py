"""The view of tasks by name: how many ended in the last quarter of an hour, how many of them failed, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass

from hotqueue.monitor import acting, statistics
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.monitor.statistics import Series
from hotqueue.store.store import Store
from hotqueue.watch import charts
from hotqueue.watch.columns import Column, Row
from hotqueue.watch.view import Act, Facts, Progress, View, having

CHART = MINUTES = 15


@dataclass(frozen=True, slots=True)
class Name:
    """A name of tasks, of one queue."""

    task: str
    queue: str
    is_paused: bool


def _toggle(store: Store, facts: Facts, progress: Progress) -> str:
    """Pause those that are not; where all are, resume them."""
    do_pause = any(not each.is_paused for each in facts)
    some = [each for each in facts if each.is_paused is not do_pause]
    for each in some:
        at = acting.queue_at(store, each.queue)
        at.pause(task=each.task) if do_pause else at.resume(task=each.task)
        progress(1)
    names = ", ".join(f"{each.task} of {each.queue}" for each in some[:3]) + " …" * (len(some) > 3)
    return f"{names}: {'paused' if do_pause else 'resumed'}"


class Names(View):
    """Tasks by name."""

    name = "Names"
    about = "tasks by their name: what ended and failed in the last 15 minutes, and how long runs and waits took (p50, p95)"
    empty = "no task has been sent or run within the last 15 minutes"
    every = 10.0
    columns = (
        Column("task", 14, stretch=3),
        Column("queue", 8, stretch=1, drop=1),
        Column("done", 5, is_number=True),
        Column("failed", 6, is_number=True),
        Column("retried", 7, is_number=True, drop=4),
        Column("p50", 5, is_number=True),
        Column("p95", 5, is_number=True),
        Column("waited", 6, is_number=True, drop=2),
        Column("minutes", CHART, drop=3),
    )
    acts = (Act("P", "pause", "pause tasks of that name, or resume them", _toggle),)

    def read(self, store: Store, snapshot: Snapshot) -> list[Row]:
        """Return the names, by queue."""
        found = []
        for queue in snapshot.queues:
            if not (queue.is_newer or queue.refused):
                found += [row_of(each, queue.paused_tasks) for each in statistics.by_task(store, queue.name, spans=MINUTES)]
        return having(found, self.filter)

    def open(self, row: Row) -> tuple[str, str] | None:
        """Return where the tasks of that name are."""
        return "Tasks", f"task:{row.fact.task} queue:{row.fact.queue}"


def row_of(series: Series, paused: tuple[str, ...]) -> Row:
    """Return a row."""
    total = series.total
    done, failed, retried = (total.counts[what] for what in ("succeeded", "failed", "retried"))
    ended = done + failed
    p50, p95, waited = total.run.quantile(0.5), total.run.quantile(0.95), total.wait.quantile(0.95)
    minutes = [span.counts["succeeded"] + span.counts["failed"] for span in series.spans]
    is_paused = series.task in paused
    return Row(
        f"{series.queue}\n{series.task}",
        (
            (f"{series.task} ⏸" if is_paused else series.task, "note" if is_paused else "bold"),
            (series.queue, ""),
            (charts.count(ended), ""),
            (charts.percent(failed, ended), "bad" if failed else "dim"),
            (charts.count(retried), "note" if retried else "dim"),
            (charts.seconds(p50), ""),
            (charts.seconds(p95), ""),
            (charts.seconds(waited), "dim"),
            (charts.sparkline(minutes, CHART), "accent"),
        ),
        (series.task, series.queue, ended, failed / ended if ended else None, retried, p50, p95, waited, sum(minutes)),
        Name(series.task, series.queue, is_paused),
    )
