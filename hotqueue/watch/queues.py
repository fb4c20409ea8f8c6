"""The view of queues: what waits, runs and is dead in each, since when, how much is done, and that as a chart."""

from __future__ import annotations

from typing import Any

from hotqueue.monitor import acting
from hotqueue.monitor.crowd import QueueFacts
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.plurals import plural
from hotqueue.store.store import Store
from hotqueue.watch import charts
from hotqueue.watch.columns import Column, Row
from hotqueue.watch.pulse import Pulse
from hotqueue.watch.view import Act, Facts, Progress, View, having

CHART = 15  # minutes


def _toggle(store: Store, facts: Facts, progress: Progress) -> str:
    """Pause those queues that are not; where all are, resume them."""
    do_pause = any(not queue.is_paused for queue in facts)
    some = [queue for queue in facts if queue.is_paused is not do_pause]
    for queue in some:
        at = acting.queue_at(store, queue.name)
        at.pause() if do_pause else at.resume()
        progress(1)
    names = ", ".join(queue.name for queue in some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
    return f"{names}: {'paused' if do_pause else 'resumed'}"


def _purge(store: Store, facts: Facts, progress: Progress) -> str:
    count = 0
    for queue in facts:
        count += acting.queue_at(store, queue.name).purge()
        progress(1)
    return f"{plural(count, 'task')} revoked"


def _about_purging(facts: Facts) -> str:
    names = facts[0].name if len(facts) == 1 else plural(len(facts), "queue")
    return f"Revoke what waits in {names}: about {plural(sum(queue.unfinished - queue.running for queue in facts), 'task')}?"


class Queues(View):
    """Queues.

    Args:
        pulse: knows what happened in the last minutes.
    """

    name = "Queues"
    about = "what waits, runs and is dead in each queue; how much is done a second, and in each of the last minutes"
    empty = "there is no queue"
    columns = (
        Column("queue", 12, stretch=3),
        Column("waits", 5, is_number=True),
        Column("runs", 5, is_number=True),
        Column("later", 5, is_number=True, drop=4),
        Column("dead", 5, is_number=True),
        Column("oldest", 6, is_number=True, drop=1),
        Column("done/s", 6, is_number=True),
        Column("failed", 6, is_number=True, drop=2),
        Column("minutes", CHART, drop=3),
        Column("workers", 7, is_number=True, drop=5),
        Column("messages", 8, is_number=True, drop=6),
    )
    acts = (
        Act("P", "pause", "pause, or resume what is paused", _toggle),
        Act("X", "purge", "revoke all that waits in a queue (asks)", _purge, _about_purging),
    )

    def __init__(self, pulse: Pulse) -> None:
        super().__init__()
        self._pulse = pulse

    def read(self, store: Store, snapshot: Snapshot) -> list[Row]:
        """Return the queues, by their names."""
        self._pulse.read(store, snapshot)
        return having((self._row(queue) for queue in snapshot.queues), self.filter)

    def _row(self, queue: QueueFacts) -> Row:
        said = self._pulse.of(queue.name)
        later = queue.scheduled + queue.steps + queue.parked
        values: tuple[Any, ...] = (
            *(queue.name, queue.waiting, queue.running, later, queue.dead, said.oldest, said.rate, said.failed, said.total),
            *(queue.workers, queue.messages),
        )
        is_stuck = bool(queue.waiting and not queue.workers)
        name = f"{queue.name} (newer)" if queue.is_newer else f"{queue.name} ⏸" if queue.is_paused else queue.name
        some = "⏸" if (queue.paused_tasks or queue.paused_keys) and not queue.is_paused else ""
        cells = (
            (f"{name} {some}".rstrip(), "note" if queue.is_paused else "bad" if queue.is_newer or queue.refused else "bold"),
            (_shown(queue.waiting), "bad" if is_stuck else ""),
            (_shown(queue.running), "good" if queue.running else "dim"),
            (_shown(later), "" if later else "dim"),
            (_shown(queue.dead), "bad" if queue.dead else "dim"),
            (charts.seconds(said.oldest), ""),
            (charts.rate(said.rate), "" if said.rate else "dim"),
            (charts.percent(said.failed, said.total), "bad" if said.failed else "dim"),
            (charts.sparkline(said.minutes, CHART), "accent"),
            (_shown(queue.workers), "bad" if is_stuck else "" if queue.workers else "dim"),
            (_shown(queue.messages), "" if queue.messages else "dim"),
        )
        return Row(queue.name, cells, values, queue)

    def badge(self, snapshot: Snapshot) -> str:
        """Return how many there are."""
        return charts.count(len(snapshot.queues))

    def open(self, row: Row) -> tuple[str, str] | None:
        """Return where the tasks of a queue are."""
        return "Tasks", f"queue:{row.fact.name}"


def _shown(number: int) -> str:
    return charts.count(number)
