"""The workers of a store: which there are, where, since when, and what each runs. Reads only.

A worker is one process of a `hotqueue-worker`, or a thread of it; all those of one `hotqueue-worker` are one program. Each is
read once, however many queues it serves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from hotqueue import keys
from hotqueue.monitor import finding
from hotqueue.monitor.tasks import moment_of
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.stored_queue import instant, whole
from hotqueue.tasks.wire.preview import preview


@dataclass(frozen=True, slots=True)
class InHand:
    """A task that a worker has in hand: it runs it, or has fetched it and runs it next."""

    id: str
    task: str
    queue: str

    def __str__(self) -> str:
        return f"{self.task}[{self.id}]"


@dataclass
class Worker:
    """One worker.

    Attributes:
        id: its incarnation.
        kind: "s" of sync tasks, "a" of async ones, "x" of suspects.
        program: the incarnation of the supervisor that looks after it; its own where there is none.
        since: since when it is registered.
        fetched: when it fetched the last tasks, to a second; None where nobody said.
        is_overdue: its lease has run out, and nobody has put that in order so far.
        memory_bytes: of its process; None where it runs on another host.
        held: how many tasks it has in hand, of which `in_hand` may be some.
    """

    id: str
    kind: str = ""
    name: str = ""
    host: str = ""
    pid: int = 0
    python: str = ""
    version: str = ""
    program: str = ""
    since: datetime | None = None
    fetched: datetime | None = None
    is_overdue: bool = False
    memory_bytes: int | None = None
    queues: list[str] = field(default_factory=list)
    in_hand: list[InHand] = field(default_factory=list)
    held: int = 0

    @property
    def shown(self) -> str:
        """What people call it: its name, or where it is."""
        return self.name or f"{self.host}:{self.pid}"

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints of it."""
        moments = {
            name: getattr(self, name) and getattr(self, name).isoformat(timespec="seconds") for name in ("since", "fetched")
        }
        tasks = [{"id": each.id, "task": each.task, "queue": each.queue} for each in self.in_hand]
        return {**vars(self), **moments, "in_hand": tasks}


def workers(store: Store, queues: Sequence[str], refused: list[str] | None = None) -> list[Worker]:
    """Return the workers of some queues, those of one program together.

    Args:
        refused: gets a sentence for each queue that cannot be read.
    """
    found: dict[str, Worker] = {}
    for _ in finding.each(queues, lambda queue: _take_in(Broker(store, queue), found), [] if refused is None else refused):
        pass
    return sorted(found.values(), key=lambda each: (each.shown, each.program, each.kind, each.id))


def _take_in(broker: Broker, found: dict[str, Worker]) -> None:
    """Take in the workers of one queue."""
    rows = _registered(broker)
    _read(broker, [worker for worker, _, _ in rows if worker not in found], found)
    for worker, until, now in rows:
        if worker in found:
            found[worker].queues.append(broker.name)
            found[worker].is_overdue |= until < now
    if rows:
        _note_in_hand(broker, found)


def _registered(broker: Broker) -> list[tuple[str, int, int]]:
    """Return the workers of a queue, until when each has its lease or is registered, and what time it is there (ms)."""
    key = keys.workers(broker.name)
    found = broker.store.repeat(lambda: broker.store.command(key, "ZRANGE", key, 0, -1, "WITHSCORES"))
    if not found:
        return []
    seconds, micros = broker.store.repeat(lambda: broker.store.command(key, "TIME"))
    now = int(seconds) * 1000 + int(micros) // 1000
    return [(keys.text(worker), abs(instant(score)), now) for worker, score in zip(found[::2], found[1::2], strict=True)]


def _read(broker: Broker, ids: Sequence[str], found: dict[str, Worker]) -> None:
    """Read what workers say of themselves."""
    if not ids:
        return
    asked = [("HGETALL", keys.worker(broker.name, worker)) for worker in ids]
    replies = broker.store.repeat(partial(pipeline.ask_all, broker.store, asked, "asking what workers say of themselves"))
    for worker, reply in zip(ids, replies, strict=True):
        if isinstance(reply, Exception):
            raise reply
        said = {keys.text(name): keys.text(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}
        if said:  # else it left just now
            found[worker] = worker_of(worker, said)


def worker_of(worker: str, said: dict[str, str]) -> Worker:
    """Return a worker, of what it says of itself."""
    _, _, fetched = (*said.get("lease", "").split(), "", "", "")[:3]
    made = Worker(
        worker,
        said.get("kind", ""),
        said.get("name", ""),
        said.get("host", ""),
        whole(said.get("pid", "")),
        said.get("python", ""),
        said.get("version", ""),
        said.get("supervisor", "") or worker,
        moment_of(whole(said.get("since", ""))),
        moment_of(whole(fetched)),
    )
    made.memory_bytes = _memory(made)
    return made


def _memory(worker: Worker) -> int | None:
    """Return how much memory a process takes, of one on this host that can be seen from here."""
    if worker.host != socket.gethostname():
        return None
    try:
        return int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _note_in_hand(broker: Broker, found: dict[str, Worker]) -> None:
    for page in broker.in_hand():
        for each in page:
            if each.worker in found:
                found[each.worker].in_hand.append(InHand(each.id, preview(each.envelope).task, broker.name))
                found[each.worker].held += 1
