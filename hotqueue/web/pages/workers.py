"""The workers: each program with its processes, and what each runs; telling one to be quiet, or to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hotqueue.monitor import acting
from hotqueue.monitor.workers import Worker
from hotqueue.tasks.broker.ordering import QUIET, STOP
from hotqueue.web.page import Action, CannotDo, Form, NotThere, Page, Said, View
from hotqueue.web.paging import paged, sorted_by
from hotqueue.web.templating import plural

PROGRAMS = 25  # of a page
KINDS = {"s": "sync", "a": "async", "x": "quarantine"}


@dataclass(frozen=True)
class Program:
    """A `hotqueue-worker`: the processes and threads that one supervisor looks after.

    Attributes:
        id: the incarnation of the supervisor.
        name: what people call it.
    """

    id: str
    name: str
    workers: Sequence[Worker]

    @property
    def first(self) -> Worker:
        """One of them: of what all have in common."""
        return self.workers[0]

    @property
    def queues(self) -> list[str]:
        """The queues at which any of them works."""
        return sorted({queue for worker in self.workers for queue in worker.queues})

    @property
    def held(self) -> int:
        """How many tasks they have in hand."""
        return sum(worker.held for worker in self.workers)

    @property
    def processes(self) -> int:
        """How many processes they are."""
        return len({worker.pid for worker in self.workers})

    @property
    def kinds(self) -> list[str]:
        """What kinds of tasks they run."""
        return sorted({KINDS.get(worker.kind, worker.kind) for worker in self.workers})

    @property
    def memory(self) -> int | None:
        """What their processes take, as far as that is known: threads are of one."""
        found = {worker.pid: worker.memory_bytes for worker in self.workers if worker.memory_bytes is not None}
        return sum(found.values()) if found else None

    @property
    def is_overdue(self) -> bool:
        """True where any of them is."""
        return any(worker.is_overdue for worker in self.workers)


COLUMNS: dict[str, Callable[[Program], Any]] = {
    "name": lambda program: (program.name, program.id),
    "tasks": lambda program: program.held,
    "memory": lambda program: program.memory or 0,
    "up": lambda program: -program.first.since.timestamp() if program.first.since else 0.0,
}


def programs(workers: Sequence[Worker]) -> list[Program]:
    """Return the programs that some workers are of."""
    found: dict[str, list[Worker]] = {}
    for worker in workers:
        found.setdefault(worker.program, []).append(worker)
    return [Program(program, some[0].shown if some[0].name else some[0].host, some) for program, some in found.items()]


def workers(view: View) -> dict[str, Any]:
    """Return what the list shows."""
    sought = view.query.get("q", "").strip()
    found = [program for program in programs(view.snapshot.workers) if _is_sought(program, sought)]
    rows, order = sorted_by(view, found, COLUMNS, "name")
    return {"sought": sought, "order": order, "rows": paged(view, rows, PROGRAMS)}


def _is_sought(program: Program, sought: str) -> bool:
    texts = (program.name, program.first.host, program.id, *program.queues, *(str(worker.pid) for worker in program.workers))
    return not sought or any(sought.casefold() in text.casefold() for text in texts)


def one_program(view: View) -> dict[str, Any]:
    """Return what the page of one program shows."""
    found = [program for program in programs(view.snapshot.workers) if program.id == view.params["program"]]
    if not found:
        raise NotThere("There is no such worker any more.")
    return {"title": found[0].name, "program": found[0], "kinds": KINDS}


def _told(verb: str, does: str) -> Callable[[View, Form], Said]:
    def act(view: View, form: Form) -> Said:
        some = [program for program in programs(view.snapshot.workers) if _is_meant(program, form)]
        if not some:
            raise CannotDo("there is no such worker any more")
        deaf = acting.order_each(view.store, {program.id: program.workers for program in some}, verb)
        told = [program for program in some if program.id not in deaf]
        why = f"within {acting.ORDER_LASTS:g} s: it is no hotqueue-worker, or does not run any more"
        mute = ", ".join(program.first.shown for program in some if program.id in deaf)[:200]
        if not told:
            raise CannotDo(f"{mute} did not answer {why}")
        is_one = len(some) == 1
        which = ", ".join(f"{program.first.shown} ({program.id})" for program in told)
        name = some[0].first.shown if is_one else plural(len(told), "program")
        rest = f"; {mute} did not answer {why}" if deaf else ""
        return Said(
            f"{name} {does if len(told) == 1 else MANY[verb]}{rest}",
            f"{'worker' if is_one else 'workers'} {which}",
            back="/workers",
        )

    return act


def _is_meant(program: Program, form: Form) -> bool:
    """Tell whether a form means a program: that one, or all that are sought."""
    return _is_sought(program, form.one("q").strip()) if form.one("all") else program.id == form.need("program")


MANY = {QUIET: "finish what they run, and take nothing more", STOP: "finish what they run, and end"}
PAGES = (
    Page("/workers", "Workers", "workers.html", workers),
    Page("/workers/{program}", "", "worker.html", one_program, "Workers"),
)
ACTIONS = (
    Action("quiet", "workers", _told(QUIET, "finishes what it runs, and takes nothing more")),
    Action("stop", "workers", _told(STOP, "finishes what it runs, and ends")),
)
