"""Facts: what a queue knows of one task and of what it waits for, in one look. What that means is for client/explain.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.gates import AtGate, at_gate_of
from hotqueue.tasks.broker.pausing import Pausing, read_paused
from hotqueue.tasks.broker.stored_queue import instant
from hotqueue.tasks.rules.history import History, decode


@dataclass(slots=True)
class WorkerFacts:
    """One worker.

    Attributes:
        until: until when it has its lease, or counts as registered, in server time (ms).
        held: how many tasks it has in hand; -1 where nobody counted.
        fetch, at: the number of a fetch, and when that was (ms), so that later ones were within a second; 0: not known.
        tasks: the names that it can run, as far as it said; None: it did not say.
    """

    id: str
    until: int
    held: int
    name: str
    host: str
    pid: str
    kind: str
    fetch: int
    at: int
    tasks: list[str] | None


@dataclass(slots=True)
class Facts:
    """What is known of one task.

    Attributes:
        now: server time in ms.
        where: as `Looked.where` of broker.py.
        envelope: without its payload.
        record: the first bytes of its result.
        detail: how many tasks are ahead of it, or when it is due (ms).
        of: how many tasks stand where it stands.
        paused: see `Pausing.paused`.
        workers: some of them, and `worker_count`: how many there are.
        worked_lately: where there is none: whether one did anything in the last two minutes.
        holder: the worker that has it in hand; fetch: the number of its fetch.
        gate: where it waits in its lane; has_asking: the asking task has a slot there.
        may_wait: it is in hand, and may not have been started.
        behind: the task that it waits for to end, since they have one unique key.
        has_expired: it waits past its expiry, and will end as soon as somebody looks.
    """

    where: str
    now: int = 0
    history: History = field(default_factory=History)
    envelope: bytes = b""
    record: bytes = b""
    detail: float = 0.0
    of: int = 0
    paused: dict[str, int] = field(default_factory=dict)
    workers: list[WorkerFacts] = field(default_factory=list)
    worker_count: int = 0
    worked_lately: bool = False
    holder: str = ""
    fetch: int = 0
    may_wait: bool = False
    has_expired: bool = False
    gate: AtGate | None = None
    has_asking: bool = False
    behind: str = ""


class Asking(Pausing):
    """What tells why a task waits."""

    def facts(self, task_id: str, asking_worker: str = "", asking_task: str = "") -> Facts:
        """Return what is known of a task, and of what it waits for; changes nothing.

        Args:
            asking_worker, asking_task: inside a task, its worker and its id.
        """
        args = [task_id, asking_worker, asking_task]
        ask = partial(self.store.run, scripts.WHY, self.script_keys.why(task_id), args, doing="asking why a task waits")
        *found, gate, rows, count, behind = self.store.repeat(ask)
        now, where, past, envelope, record, detail, of, paused, lately, holder, fetch, may_wait, lapsed = found
        return Facts(
            where.decode(),
            int(now),
            decode(past),
            envelope,
            record,
            float(detail),
            int(of),
            read_paused(paused),
            [_worker(row) for row in rows],
            int(count),
            bool(lately),
            keys.text(holder),
            int(fetch or 0),
            bool(may_wait),
            bool(lapsed),
            at_gate_of(gate[1:]),
            bool(gate and gate[0]),
            keys.text(behind),
        )


def _worker(row: list[Any]) -> WorkerFacts:
    worker, until, held, *about = row
    name, host, pid, kind, lease, tasks = ("" if each is None else keys.text(each) for each in about)
    known = None if about[5] is None else tasks.split()
    number, fetched_at = [int(word) if word.isdigit() else 0 for word in (*lease.split(), "", "", "")[1:3]]
    return WorkerFacts(keys.text(worker), abs(instant(until)), int(held), name, host, pid, kind, number, fetched_at, known)
