"""What one queue holds inside `queue.testing()`: its tasks and their ends, kept as the broker's scripts do.

Keeps, answers and calls back; runs nothing and decides nothing: see `runner`.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.broker.pausing import QUEUE
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.client.waiters import Callback
from hotqueue.tasks.rules import gates
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.rules.history import decode as decode_history
from hotqueue.tasks.wire.envelope import decode
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.wire.settlement import Settlement

WHERE = "inside queue.testing(), where nothing leaves this process"


@dataclass(eq=False)
class Entry:
    """A task that has not ended.

    Attributes:
        registry: of the queue that it was sent through, which knows its function.
        original: of the task that was sent, where its code went by value.
        due: ms since the epoch before which it would not run; nobody waits for it.
        parent: the task that sent it.
        depth: how many tasks sent one another before it.
        settled: done when it has ended, and all that it sent and did not wait for.
        open: how many of those there are, and itself.
        successor: what waits for it to end, with the same unique key.
        step: what it is in its workflow; None for a task of none.
        waits: the ids of those that it waits for; see `steps`.
    """

    id: str
    envelope: bytes
    registry: Registry
    original: Definition | None
    due: int
    history: History
    parent: Entry | None = None
    depth: int = 0
    running: bool = False
    open: int = 1
    successor: Entry | None = None
    step: Step | None = None
    waits: set[str] = field(default_factory=set)
    settled: Future[None] = field(default_factory=Future)


class Row(NamedTuple):
    """Who has a unique key: a task, until when at most (ms; 0: while it is there); and who waits for it to end."""

    holder: Entry
    till: int
    until: str
    next: Entry | None = None


class MemoryStream:
    """The items of a task that yields: those that are kept, as batches of one; see `broker.streams`."""

    def __init__(self, most: int) -> None:
        self.attempt = now()
        self.first = 0
        self.items: deque[bytes] = deque(maxlen=most)

    @property
    def count(self) -> int:
        """How many there are so far."""
        return self.first + len(self.items)

    def add(self, batch: bytes) -> None:
        """Add an item."""
        self.first += len(self.items) == self.items.maxlen
        self.items.append(batch)

    def begin_anew(self) -> None:
        """Begin a new attempt."""
        self.attempt, self.first = max(now(), self.attempt + 1), 0
        self.items.clear()


class Gone(NamedTuple):
    """A dead task that was thrown away, when, and what for."""

    at: int
    mark: str
    dead: tuple[int, bytes, Entry]
    checkpoint: bytes | None


class Storage:
    """What one queue holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.unfinished: dict[str, Entry] = {}
        self.records: dict[str, bytes] = {}
        self.done: set[str] = set()
        self.dead: dict[str, tuple[int, bytes, Entry]] = {}
        self.discarded: dict[str, Gone] = {}
        self.progress: dict[str, dict[str, Any]] = {}
        self.checkpoints: dict[str, bytes] = {}
        self.streams: dict[str, MemoryStream] = {}
        self.watchers: dict[str, list[Callback]] = {}
        self.schedules: dict[str, tuple[bytes, str]] = {}  # name → row, state
        self.unique: dict[str, Row] = {}  # see unique_keys.py
        self.behind: dict[str, list[Entry]] = {}  # id → the steps that wait for it
        self.replaced: set[str] = set()  # those in whose place others were put
        self.cut_off: list[Entry] = []  # steps that ended, as one before them failed for good
        self.workflows: dict[str, bytes] = {}  # id → graph, see workflow/graph.py
        self.paused: dict[str, int] = {}  # as `Broker.paused`

    def keeps(self, entry: Entry) -> bool:
        """Tell whether a task is not to run now."""
        return bool(self.paused) and self.why_kept(entry) != ""

    def why_kept(self, entry: Entry) -> str:
        """Return what of a task is paused: "1", the queue, "task:" and its name, "k:" and a key; "": nothing."""
        found = decode(entry.envelope)
        keys = [gate.key for gate in gates.read(found.gates)] if found.gates else []
        return next((what for what in (QUEUE, f"task:{found.task}", *keys) if what in self.paused), "")

    def knows(self, task_id: str) -> bool:
        """Tell whether a task of this id was ever sent here."""
        return any(task_id in there for there in (self.unfinished, self.records, self.done, self.dead))

    def carry_out(self, entry: Entry, settlement: Settlement) -> None:
        """Do what was decided of a task, as step.lua does; see `settlement.wire`."""
        task_id, _, code, blob, ms, extra = settlement
        with self.lock:
            if self.unfinished.get(task_id) is not entry:
                return  # revoked meanwhile
            if code == "N":
                return  # see steps.py
            if code == "R":
                entry.history, entry.due = decode_history(extra.encode()), max(entry.due, now() + ms)
            elif code == "K":
                entry.running = False
                entry.history = replace(entry.history, need=extra)
            else:
                del self.unfinished[task_id]
                if code == "X":
                    self.done.add(task_id)
                else:
                    self.records[task_id] = _bytes(blob)
                if code != "D":
                    self.checkpoints.pop(task_id, None)
                else:
                    self.dead[task_id] = (now(), extra.encode() + b"\n" + entry.envelope, entry)
        self.notify([task_id])

    def follower(self, entry: Entry) -> Entry | None:
        """Return what may run now that a task has ended."""
        found = entry.successor
        with self.lock:
            if found is None or self.unfinished.get(found.id) is not found:
                return None
            found.history = replace(found.history, need="-")
        return found

    def end_if_expired(self, task_id: str) -> None:
        """End a task that waits past its expiry: whoever looks at it does."""
        with self.lock:
            entry = self.unfinished.get(task_id)
            expires = entry.history.expires if entry is not None and not entry.running else None
        if entry is not None and expires is not None and expires <= now():
            self.carry_out(entry, Settlement(task_id, 0, "E", f"E{expires} {now()} {entry.history.tries}", 0, ""))

    def report(self, task_id: str, progress: dict[str, Any]) -> None:
        """Keep a running task's progress."""
        self.progress[task_id] = json.loads(json.dumps(progress))

    def notify(self, ids: Iterable[str]) -> None:
        """Answer whoever watches these tasks, if there is an answer."""
        calls: list[tuple[Callback, str, Answer]] = []
        with self.lock:
            for task_id in ids:
                if (answer := self.answer(task_id)) is not None:
                    calls += [(callback, task_id, answer) for callback in self.watchers.pop(task_id, [])]
        for callback, task_id, answer in calls:
            callback(task_id, answer)

    def answer(self, task_id: str) -> Answer | None:
        """Return what there is to say of a task; None while it has not ended."""
        if task_id in self.unfinished:
            return None
        if task_id in self.records:
            return Answer("R", self.records[task_id])
        return Answer("D" if task_id in self.done else "U")


def why(storage: Storage, entry: Entry) -> str:
    """Say why a task does not run."""
    need = entry.history.need
    if entry.waits:
        return f"it waits for task {min(entry.waits)}, {WHERE}"
    if need == BEHIND:
        return f"it replaced a task that runs, and waits for that to end, {WHERE}"
    if need != "-":
        return f"it needs {need}, which is not to be had {WHERE}"
    kept = storage.why_kept(entry) if storage.paused else ""
    if not kept:
        return "it has not started yet"
    kind, _, name = kept.partition(":")
    what = f"queue {storage.name!r}" if kept == QUEUE else f"{'task' if kind == 'task' else 'key'} {name!r}"
    return f"{what} is paused, {WHERE}"


def place(entry: Entry) -> str:
    """Return where in the store a task would be: "held", "parked", "scheduled" or "ready"."""
    if entry.running:
        return "held"
    if entry.waits:
        return "waits"
    if entry.history.need != "-":
        return "parked"
    return "scheduled" if entry.due > now() else "ready"


def now() -> int:
    """Return the ms since the epoch."""
    return int(time.time() * 1000)


def instant(when: str) -> int:
    """Return a time as `enqueue` is given it, ``+<ms from now>`` or ms since the epoch, as ms since the epoch."""
    return now() + int(when[1:]) if when.startswith("+") else int(when)


def _bytes(blob: bytes | str) -> bytes:
    return blob if isinstance(blob, bytes) else blob.encode()
