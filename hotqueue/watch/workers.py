"""The view of workers: where each is, since when, how much memory it takes, and what it runs."""

from __future__ import annotations

from hotqueue.monitor import acting, words
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.monitor.workers import Worker
from hotqueue.plurals import plural
from hotqueue.store.store import Store
from hotqueue.tasks.broker.ordering import QUIET, STOP
from hotqueue.watch import charts
from hotqueue.watch.columns import Column, Row
from hotqueue.watch.view import Act, Facts, Progress, View, having

_KINDS = {"s": "sync", "a": "async", "x": "suspects"}


def _programs(facts: Facts) -> dict[str, list[Worker]]:
    found: dict[str, list[Worker]] = {}
    for worker in facts:
        found.setdefault(worker.program, []).append(worker)
    return found


def _tell(store: Store, facts: Facts, verb: str, progress: Progress) -> str:
    programs = _programs(facts)
    deaf = [programs[program][0].shown for program in acting.order_each(store, programs, verb)]
    progress(len(facts))
    if deaf:
        return (
            f"{', '.join(deaf)} did not answer within {acting.ORDER_LASTS:g} s: no hotqueue-worker, or it does not run any more"
        )
    names = ", ".join(some[0].shown for some in programs.values())
    return f"{names}: told to {'stop' if verb == STOP else 'take nothing more'}"


def _stop(store: Store, facts: Facts, progress: Progress) -> str:
    return _tell(store, facts, STOP, progress)


def _quiet(store: Store, facts: Facts, progress: Progress) -> str:
    return _tell(store, facts, QUIET, progress)


def _asking(what: str) -> str:
    return f"Have {{}} finish what it runs, and {what}?"


def _who(facts: Facts) -> str:
    programs = _programs(facts)
    names = ", ".join(some[0].shown for some in list(programs.values())[:3]) + " …" * (len(programs) > 3)
    return f"{names} (all processes of {'that program' if len(programs) == 1 else plural(len(programs), 'program')})"


class Workers(View):
    """Workers."""

    name = "Workers"
    about = "which workers there are, since when, how much memory each takes (on this host), and what it has in hand"
    empty = "there is no worker"
    columns = (
        Column("worker", 16, stretch=2),
        Column("process", 7, is_number=True, drop=3),
        Column("kind", 5, drop=4),
        Column("up", 5, is_number=True),
        Column("memory", 7, is_number=True, drop=2),
        Column("version", 8, drop=5),
        Column("queues", 10, stretch=1, drop=1),
        Column("has", 3, is_number=True),
        Column("runs", 16, stretch=3),
    )
    acts = (
        Act(
            *("Q", "quiet", "have a program finish what it runs, and take nothing more (asks)", _quiet),
            lambda facts: _asking("take nothing more, until it is restarted").format(_who(facts)),
        ),
        Act(
            *("T", "stop", "have a program finish what it runs, and end (asks)", _stop),
            lambda facts: _asking("end").format(_who(facts)),
        ),
    )

    def read(self, store: Store, snapshot: Snapshot) -> list[Row]:
        """Return the workers, those of one program together."""
        return having(map(_row, snapshot.workers), self.filter)

    def badge(self, snapshot: Snapshot) -> str:
        """Return how many there are."""
        return charts.count(len(snapshot.workers))

    def open(self, row: Row) -> tuple[str, str] | None:
        """Return where the tasks are that a worker has in hand."""
        return "Tasks", f"state:running worker:{row.fact.id}"


def _row(worker: Worker) -> Row:
    up = words.ago(worker.since)
    name = f"{worker.name} ({worker.host})" if worker.name else worker.host
    runs = worker.in_hand[0].task if worker.in_hand else ""
    kind, memory = _KINDS.get(worker.kind, worker.kind), words.size(worker.memory_bytes)
    since = -worker.since.timestamp() if worker.since else None
    queues, has = ", ".join(worker.queues), worker.held
    return Row(
        worker.id,
        (
            (f"{name} overdue" if worker.is_overdue else name, "bad" if worker.is_overdue else "bold"),
            (str(worker.pid), ""),
            (kind, "dim"),
            (up, ""),
            (memory, ""),
            (worker.version, "dim"),
            (queues, ""),
            (str(has or ""), "good"),
            (runs, "good"),
        ),
        (name, worker.pid, kind, since, worker.memory_bytes, worker.version, queues, has, runs),
        worker,
    )
