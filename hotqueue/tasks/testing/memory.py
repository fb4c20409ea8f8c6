"""One queue's tasks in this process: what `Broker` and `Replies` are in Redis, as far as a program calls them.

Keeps, answers and tells, as the scripts do; runs nothing and decides nothing, see eager.py.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol

from hotqueue.errors import ResultTimeout
from hotqueue.runtime.interrupts import within
from hotqueue.tasks.broker.broker import Looked
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.client.replies import Answer, Callback
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.rules import history
from hotqueue.tasks.rules.history import Attempts
from hotqueue.tasks.wire.settlement import Settlement

WHERE = "inside queue.testing(), where nothing leaves this process"


@dataclass(eq=False)
class Entry:
    """A task that has not ended.

    Attributes:
        registry: of the queue that it was sent through, which knows its function.
        original: the task that was sent, where its code went by value.
        due: ms since the epoch before which it would not run; nobody waits for it.
        parent: the task that sent it.
        depth: how many tasks sent one another before it.
        settled: done when it has ended, and all that it sent and did not wait for.
        open: how many of those there are, and itself.
    """

    id: str
    envelope: bytes
    registry: Registry
    original: Task[..., Any] | None
    due: int
    attempts: Attempts
    parent: Entry | None = None
    depth: int = 0
    running: bool = False
    open: int = 1
    settled: Future[None] = field(default_factory=Future)


class Runner(Protocol):
    """Runs what is kept here."""

    def run(self, shelf: Shelf, entries: Sequence[Entry]) -> None:
        """Run tasks, and return when they have run."""

    async def arun(self, shelf: Shelf, entries: Sequence[Entry]) -> None:
        """Asyncio twin of `run`."""

    def adopt(self, entry: Entry) -> None:
        """Note who sent a task; RecursionError when the chain has no end."""

    @property
    def is_on_loop(self) -> bool:
        """True in the thread that all `async def` tasks need."""


class Shelf:
    """What one queue holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.unfinished: dict[str, Entry] = {}
        self.records: dict[str, bytes] = {}
        self.done: set[str] = set()
        self.dead: dict[str, tuple[int, bytes, Entry]] = {}
        self.progress: dict[str, dict[str, Any]] = {}
        self.watchers: dict[str, list[Callback]] = {}
        self.is_paused = False

    def knows(self, task_id: str) -> bool:
        """Tell whether a task of this id was ever sent here."""
        return any(task_id in there for there in (self.unfinished, self.records, self.done, self.dead))

    def carry_out(self, entry: Entry, action: Settlement) -> None:
        """Make a decided action so: what step.lua does; see `actions.wire`."""
        task_id, _, code, blob, ms, extra = action
        with self.lock:
            if self.unfinished.get(task_id) is not entry:
                return  # revoked meanwhile
            if code == "R":
                entry.attempts, entry.due = history.decode(extra.encode()), max(entry.due, _now() + ms)
            elif code == "K":
                entry.running = False
                entry.attempts = replace(entry.attempts, need=extra)
            else:
                del self.unfinished[task_id]
                if code == "X":
                    self.done.add(task_id)
                else:
                    self.records[task_id] = _bytes(blob)
                if code == "D":
                    self.dead[task_id] = (_now(), extra.encode() + b"\n" + entry.envelope, entry)
        self.tell([task_id])

    def end_if_expired(self, task_id: str) -> None:
        """End a task that waits past its expiry: whoever looks at it does."""
        with self.lock:
            entry = self.unfinished.get(task_id)
            expires = entry.attempts.expires if entry is not None and not entry.running else None
        if entry is not None and expires is not None and expires <= _now():
            self.carry_out(entry, Settlement(task_id, 0, "E", f"E{expires} {_now()} {entry.attempts.tries}", 0, ""))

    def tell(self, ids: Iterable[str]) -> None:
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


class MemoryBroker:
    """One queue's tasks, as one registry sends them; the methods are those of `Broker`."""

    is_in_place = True

    def __init__(self, shelf: Shelf, registry: Registry, runner: Runner, originals: dict[str, Task[..., Any]]) -> None:
        self.name, self.store = shelf.name, registry.store
        self._shelf, self._registry, self._runner, self._originals = shelf, registry, runner, originals

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"{name} needs a store, and this is {WHERE}; leave the block first")

    # --- sending -------------------------------------------------------------------------------------------------

    def enqueue(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> list[bool]:
        """Keep tasks whose ids are new, and have them run."""
        entries = [self._entered(*task) for task in tasks]
        self._runner.run(self._shelf, [entry for entry in entries if entry is not None])
        return [entry is not None for entry in entries]

    async def aenqueue(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> list[bool]:
        """Asyncio twin of `enqueue`."""
        entries = [self._entered(*task) for task in tasks]
        await self._runner.arun(self._shelf, [entry for entry in entries if entry is not None])
        return [entry is not None for entry in entries]

    def enqueue_one(self, task_id: str, envelope: bytes) -> bool:
        """Keep one task and have it run."""
        return self.enqueue([(task_id, "", "", envelope)])[0]

    def _entered(self, task_id: str, due: str, expires: str, envelope: bytes) -> Entry | None:
        shelf, original = self._shelf, self._originals.pop(task_id, None)
        attempts = Attempts(expires=_instant(expires)) if expires else Attempts()
        entry = Entry(task_id, envelope, self._registry, original, _instant(due) if due else 0, attempts)
        self._runner.adopt(entry)
        with shelf.lock:
            if shelf.knows(task_id):
                return None
            shelf.unfinished[task_id] = entry
        return entry

    # --- looking -------------------------------------------------------------------------------------------------

    def look(self, task_id: str) -> Looked:
        """Return what is known of a task."""
        shelf = self._shelf
        self._shelf.end_if_expired(task_id)
        with shelf.lock:
            progress = shelf.progress.get(task_id)
            entry = shelf.unfinished.get(task_id)
            if entry is not None:
                return Looked(_place(entry), b"", entry.attempts, float(entry.due), entry.envelope, progress)
            record = shelf.records.get(task_id, b"")
            ended = "done" if task_id in shelf.done else "dead" if task_id in shelf.dead else "unknown"
            return Looked("result" if record else ended, record, Attempts(), 0.0, b"", progress)

    async def alook(self, task_id: str) -> Looked:
        """Asyncio twin of `look`."""
        return self.look(task_id)

    def record(self, task_id: str) -> bytes | None:
        """Return the record of a task."""
        return self._shelf.records.get(task_id)

    def forget(self, task_id: str) -> None:
        """Remove the record of a task."""
        self._shelf.records.pop(task_id, None)

    def counts(self) -> dict[str, int]:
        """Return how many tasks are unfinished, ready, of these suspects, scheduled, parked, dead."""
        for task_id in list(self._shelf.unfinished):
            self._shelf.end_if_expired(task_id)
        with self._shelf.lock:
            places = [_place(entry) for entry in self._shelf.unfinished.values()]
        counted = {place: places.count(place) for place in ("ready", "scheduled", "parked")}
        return {"unfinished": len(places), **counted, "suspects": 0, "dead": len(self._shelf.dead)}

    def workers(self) -> list[dict[str, str]]:
        """Return no worker: none is needed."""
        return []

    def held(self, worker: str) -> list[str]:
        """Return nothing: no worker holds anything."""
        return []

    def report(self, task_id: str, progress: dict[str, Any]) -> None:
        """Keep a running task's progress."""
        self._shelf.progress[task_id] = json.loads(json.dumps(progress))

    # --- acting --------------------------------------------------------------------------------------------------

    def revoke(
        self, task_id: str, record: bytes, ttl_ms: int, need: str = "-", terminate: bool = False, patience: float = 0.0
    ) -> str:
        """End a waiting task; return "revoked", "running" or "unknown"."""
        with self._shelf.lock:
            entry = self._shelf.unfinished.get(task_id)
            if entry is None:
                return "unknown"
            if entry.running and terminate:
                raise RuntimeError(f"revoke(terminate=True) ends the process that runs the task: this one, {WHERE}")
            if entry.running:
                return "running"
            self._shelf.carry_out(entry, Settlement(task_id, 0, "E", record, ttl_ms, ""))
        return "revoked"

    def is_paused(self) -> bool:
        """Tell whether what is sent waits."""
        return self._shelf.is_paused

    def pause(self) -> None:
        """Have what is sent wait."""
        self._shelf.is_paused = True

    def resume(self) -> None:
        """Run what waits."""
        self._shelf.is_paused = False
        with self._shelf.lock:
            waiting = [entry for entry in self._shelf.unfinished.values() if not entry.running]
        self._runner.run(self._shelf, waiting)

    # --- the dead ------------------------------------------------------------------------------------------------

    def dead(self, start: int, count: int) -> list[tuple[str, int, bytes]]:
        """Return (id, ms of death, record) of dead tasks, newest first."""
        with self._shelf.lock:
            rows = [(task_id, at, blob) for task_id, (at, blob, _) in self._shelf.dead.items()]
        return rows[::-1][start : start + count]

    def dead_ids(self, count: int) -> list[str]:
        """Return the ids of that many dead tasks, the newest."""
        return [task_id for task_id, _, _ in self.dead(0, count)]

    def dead_count(self) -> int:
        """Return how many tasks are dead."""
        return len(self._shelf.dead)

    def dead_record(self, task_id: str) -> bytes | None:
        """Return the record of one dead task."""
        found = self._shelf.dead.get(task_id)
        return None if found is None else found[1]

    def revive(self, ids: Sequence[str]) -> list[str]:
        """Run dead tasks again, with a clean slate; return the ids of those that were there."""
        entries = []
        with self._shelf.lock:
            for task_id in ids:
                found = self._shelf.dead.pop(task_id, None)
                if found is not None:
                    self._shelf.records.pop(task_id, None)
                    old = found[2]
                    entries.append(Entry(task_id, old.envelope, old.registry, old.original, 0, Attempts()))
                    self._shelf.unfinished[task_id] = entries[-1]
        self._runner.run(self._shelf, entries)
        return [entry.id for entry in entries]

    def discard(self, ids: Sequence[str]) -> int:
        """Throw dead tasks away; return how many were there."""
        return sum(self._shelf.dead.pop(task_id, None) is not None for task_id in ids)


class MemoryReplies:
    """Where results are waited for; the methods are those of `Replies`."""

    def __init__(self, shelf: Shelf, runner: Runner) -> None:
        self._shelf, self._runner = shelf, runner

    def wait(self, ids: Iterable[str], timeout: float | None) -> dict[str, Answer]:
        """Return the answers that came within `timeout` seconds (None: wait for all).

        Raises:
            RuntimeError: in the event loop that the task needs.
            ResultTimeout: nothing will come, and no timeout was given.
        """
        wanted, answers, awake = set(ids), dict[str, Answer](), threading.Event()

        def tell(task_id: str, answer: Answer) -> None:
            answers[task_id] = answer
            if len(answers) == len(wanted):
                awake.set()

        for task_id in wanted:
            self.watch(task_id, tell)
        try:
            self.ask(list(wanted))
            left = wanted - set(answers)
            if left:
                self._refuse_to_hang(left, timeout)
                _wait(awake, timeout)
        finally:
            for task_id in wanted:
                self.unwatch(task_id, tell)
        return dict(answers)

    def _refuse_to_hang(self, ids: set[str], timeout: float | None) -> None:
        if self._runner.is_on_loop:
            raise RuntimeError(
                f"get() of task {min(ids)} blocks the event loop that all async def tasks run on, {WHERE}; write await result"
            )
        for task_id in sorted(ids) if timeout is None else ():
            entry = self._shelf.unfinished.get(task_id)
            if entry is not None and not entry.running:
                raise ResultTimeout(f"get() without a timeout would wait for ever for task {task_id}: {why(self._shelf, entry)}")

    def watch(self, task_id: str, callback: Callback) -> None:
        """Register a callback."""
        with self._shelf.lock:
            self._shelf.watchers.setdefault(task_id, []).append(callback)

    def unwatch(self, task_id: str, callback: Callback) -> None:
        """Forget a callback."""
        with self._shelf.lock:
            found = self._shelf.watchers.get(task_id, [])
            if callback in found:
                found.remove(callback)

    def subscribe(self, task_id: str, callback: Callback) -> None:
        """Have `callback` called when the task ends, or now."""
        self.watch(task_id, callback)
        self.ask([task_id])

    def ask(self, ids: list[str]) -> None:
        """Tell of those that have ended."""
        for task_id in ids:
            self._shelf.end_if_expired(task_id)
        self._shelf.tell(ids)

    trouble = ""

    async def aask(self, ids: list[str]) -> None:
        """Asyncio twin of `ask`."""
        self.ask(ids)

    def whole(self, task_id: str, answer: Answer) -> Answer:
        """Return an answer, which has all that it speaks of."""
        return answer


def why(shelf: Shelf, entry: Entry) -> str:
    """Say why a task does not run."""
    need = entry.attempts.need
    if need != "-":
        return f"it needs {need}, which is not to be had {WHERE}"
    return f"queue {shelf.name!r} is paused, {WHERE}" if shelf.is_paused else "it has not started yet"


def _wait(awake: threading.Event, timeout: float | None) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    while not awake.wait(within(None if deadline is None else max(0.0, deadline - time.monotonic()))):
        if deadline is not None and time.monotonic() >= deadline:
            return


def _place(entry: Entry) -> str:
    if entry.running:
        return "held"
    if entry.attempts.need != "-":
        return "parked"
    return "scheduled" if entry.due > _now() else "ready"


def _now() -> int:
    return int(time.time() * 1000)


def _instant(when: str) -> int:
    return _now() + int(when[1:]) if when.startswith("+") else int(when)


def _bytes(blob: bytes | str) -> bytes:
    return blob if isinstance(blob, bytes) else blob.encode()
