"""The broker inside `queue.testing()`: what `Broker` does in Redis, as far as a program calls it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NoReturn

from hotqueue.tasks.broker import duplicates
from hotqueue.tasks.broker.bounded import queue_full
from hotqueue.tasks.broker.broker import Looked
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.facts import Facts
from hotqueue.tasks.broker.gates import AtGate
from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.broker.pausing import QUEUE
from hotqueue.tasks.broker.revoking_many import PARKED, SCHEDULED, WAITING, Sought
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.testing.discarded import MemoryDiscarded
from hotqueue.tasks.testing.plans import MemoryPlans
from hotqueue.tasks.testing.runner import Runner
from hotqueue.tasks.testing.steps import Steps
from hotqueue.tasks.testing.storage import WHERE, Entry, Storage, instant, now, place
from hotqueue.tasks.testing.streams import MemoryStreams
from hotqueue.tasks.testing.unique_keys import UniqueKeys
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.settlement import Settlement


class MemoryBroker(MemoryDiscarded, MemoryPlans, MemoryStreams):
    """One queue's tasks, as one registry sends them; the methods are those of `Broker`."""

    is_in_place = True

    def __init__(self, storage: Storage, registry: Registry, runner: Runner, originals: dict[str, Definition]) -> None:
        self.name, self.store = storage.name, registry.store
        self._storage, self._registry, self._runner, self._originals = storage, registry, runner, originals

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"{name} needs a store, and this is {WHERE}; leave the block first")

    # --- sending -------------------------------------------------------------------------------------------------

    def enqueue(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        """Keep tasks whose ids are new, and have them run."""
        known, entered = self._entered(tasks)
        self._runner.run(self._storage, entered)
        return known

    def enqueue_unique(self, tasks: Sequence[Encoded]) -> list[str]:
        """Do as `enqueue`; return the id under which each is known now."""
        return duplicates.ids_of(self.enqueue(tasks), tasks)

    def begin_enqueue(self, tasks: Sequence[Encoded]) -> Callable[[], list[bool | str]]:
        """Keep tasks whose ids are new, and have them run; what is returned says which were."""
        stored = self.enqueue(tasks)
        return lambda: stored

    async def aenqueue(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        """Asyncio twin of `enqueue`."""
        known, entered = self._entered(tasks)
        await self._runner.arun(self._storage, entered)
        return known

    async def aenqueue_unique(self, tasks: Sequence[Encoded]) -> list[str]:
        """Asyncio twin of `enqueue_unique`."""
        return duplicates.ids_of(await self.aenqueue(tasks), tasks)

    def enqueue_one(self, task_id: str, envelope: bytes, line: bytes = b"") -> bool:
        """Keep one task and have it run."""
        return self.enqueue([Encoded(task_id, "", "", envelope)])[0] is True

    def _check_room(self, tasks: Sequence[Encoded]) -> None:
        """Raise QueueFull for more than may wait; nobody would make room, so nobody waits for it."""
        bound = self._registry.bound_of(self.name)
        if bound is None:
            return
        counts = self.counts()
        waiting = counts["ready"] + counts["parked"]
        coming = len({task.id for task in tasks if not task.due and not self._storage.knows(task.id)})
        is_too_many = bound.timeout == 0 and coming > bound.most
        if is_too_many or (coming and self._storage.paused and waiting + coming > bound.most):
            raise queue_full(self.name, bound._replace(timeout=0), coming, waiting)

    def _entered(self, tasks: Sequence[Encoded]) -> tuple[list[bool | str], list[Entry]]:
        """Keep tasks; return what `enqueue` does, and those that are new."""
        self._check_room(tasks)
        entries = [self._entry(*task) for task in tasks]
        known = UniqueKeys(self._storage).enter(entries)
        return known, [entry for entry, is_new in zip(entries, known, strict=True) if is_new is True]

    def _entry(self, task_id: str, due: str, expires: str, envelope: bytes) -> Entry:
        original = self._originals.pop(task_id, None)
        history = History(expires=instant(expires)) if expires else History()
        registry = self._registry if original is None or not isinstance(original.client, Registry) else original.client
        entry = Entry(task_id, envelope, registry, original, instant(due) if due else 0, history)
        self._runner.adopt(entry)
        return entry

    # --- looking -------------------------------------------------------------------------------------------------

    def look(self, task_id: str) -> Looked:
        """Return what is known of a task."""
        storage = self._storage
        self._storage.end_if_expired(task_id)
        with storage.lock:
            progress = storage.progress.get(task_id)
            entry = storage.unfinished.get(task_id)
            if entry is not None:
                return Looked(place(entry), b"", entry.history, float(entry.due), entry.envelope, progress)
            record = storage.records.get(task_id, b"")
            ended = "done" if task_id in storage.done else "dead" if task_id in storage.dead else "unknown"
            return Looked("result" if record else ended, record, History(), 0.0, b"", progress)

    def facts(self, task_id: str, asking_worker: str = "", asking_task: str = "") -> Facts:
        """Return what is known of a task, as far as `why` needs it."""
        looked, paused = self.look(task_id), self.paused()
        behind = self.unique_holder(looked.envelope) if looked.history.need == BEHIND else ""
        entry = self._storage.unfinished.get(task_id)
        kept = self._storage.why_kept(entry) if entry is not None and looked.where == "ready" else ""
        gate = AtGate("p", kept, 0, 0, 0, -1, 0, 0, []) if kept.startswith("k:") else None
        facts = "lane" if gate else looked.where, now(), looked.history, looked.envelope, looked.record, looked.detail
        return Facts(*facts, paused=paused, behind=behind, gate=gate)

    async def alook(self, task_id: str) -> Looked:
        """Asyncio twin of `look`."""
        return self.look(task_id)

    def unique_holder(self, envelope: bytes) -> str:
        """Return the id of the task that has the unique key of a call; "" where none has it."""
        return UniqueKeys(self._storage).holder(envelope)

    def record(self, task_id: str) -> bytes | None:
        """Return the record of a task."""
        return self._storage.records.get(task_id)

    def forget(self, task_id: str) -> None:
        """Remove the record of a task."""
        self._storage.records.pop(task_id, None)
        self._storage.streams.pop(task_id, None)

    def counts(self) -> dict[str, int]:
        """Return how many tasks are unfinished, ready, of these suspects, scheduled, parked, dead, waiting."""
        for task_id in list(self._storage.unfinished):
            self._storage.end_if_expired(task_id)
        with self._storage.lock:
            places = [place(entry) for entry in self._storage.unfinished.values()]
        counted = {place: places.count(place) for place in ("ready", "scheduled", "parked")}
        steps = places.count("waits")
        waiting = sum(counted.values()) + steps
        more = {"suspects": 0, "blocked": 0, "steps": steps, "dead": len(self._storage.dead), "waiting": waiting}
        return {"unfinished": len(places), **counted, **more}

    def workers(self) -> list[dict[str, str]]:
        """Return no worker: none is needed."""
        return []

    def held(self, worker: str) -> list[str]:
        """Return nothing: no worker holds anything."""
        return []

    # --- acting --------------------------------------------------------------------------------------------------

    def revoke(
        self, task_id: str, record: bytes, ttl_ms: int, need: str = "-", terminate: bool = False, patience: float = 0.0
    ) -> str:
        """End a waiting task; return "revoked", "running" or "unknown"."""
        with self._storage.lock:
            entry = self._storage.unfinished.get(task_id)
            if entry is None:
                return "unknown"
            if entry.running and terminate:
                raise RuntimeError(f"revoke(terminate=True) ends the process that runs the task: this one, {WHERE}")
            if entry.running:
                return "running"
            self._storage.carry_out(entry, Settlement(task_id, 0, "E", record, ttl_ms, ""))
        self._runner.run(self._storage, Steps(self._storage).after(task_id))
        return "revoked"

    def revoke_some(self, sought: Sought, is_to_mark: bool = False) -> int:
        """End the tasks that are meant and wait; return how many these were."""
        with self._storage.lock:
            found = [entry for entry in self._storage.unfinished.values() if not entry.running and _is_meant(entry, sought)]
            for entry in found:
                record = f"R{now()} {entry.history.retries}"
                self._storage.carry_out(entry, Settlement(entry.id, 0, "E", record, 0, ""))
        return len(found)

    def paused(self) -> dict[str, int]:
        """Return what is paused, and since when."""
        return dict(self._storage.paused)

    def is_paused(self) -> bool:
        """Tell whether what is sent waits."""
        return QUEUE in self._storage.paused

    def pause(self, task: str = "") -> None:
        """Have what is sent wait, or the tasks of one name."""
        self._storage.paused.setdefault(f"task:{task}" if task else QUEUE, now())

    def pause_key(self, key: str) -> None:
        """Have tasks with this key wait."""
        self._storage.paused.setdefault(f"k:{key}", now())

    def wait_for_what_is_in_hand(self, what: str) -> None:
        """Wait for nothing: what is paused does not run."""

    def paused_keys(self) -> dict[str, int]:
        """Return the keys that are paused, and since when."""
        return {what[2:]: since for what, since in self._storage.paused.items() if what.startswith("k:")}

    def resume_key(self, key: str) -> None:
        """Run what waits for that."""
        self._resume(f"k:{key}")

    def resume(self, task: str = "") -> None:
        """Run what waits."""
        self._resume(f"task:{task}" if task else QUEUE)

    def _resume(self, what: str) -> None:
        self._storage.paused.pop(what, None)
        with self._storage.lock:
            waiting = [entry for entry in self._storage.unfinished.values() if not entry.running]
        self._runner.run(self._storage, waiting)

    # --- the dead ------------------------------------------------------------------------------------------------

    def dead(self, count: int, start: int = 0, behind: object = None) -> tuple[list[tuple[str, int, bytes]], object]:
        """Return (id, ms of death, record) of dead tasks, newest first; all of them in one page."""
        with self._storage.lock:
            rows = [(task_id, at, blob) for task_id, (at, blob, _) in self._storage.dead.items()]
        return ([] if behind else rows[::-1][start:]), "all"

    def dead_ids(self, count: int, start: int = 0) -> list[str]:
        """Return the ids of that many dead tasks, the newest behind the first `start`."""
        return [task_id for task_id, _, _ in self.dead(count, start)[0][:count]]

    def dead_count(self) -> int:
        """Return how many tasks are dead."""
        return len(self._storage.dead)

    def dead_record(self, task_id: str) -> bytes | None:
        """Return the record of one dead task."""
        found = self._storage.dead.get(task_id)
        return None if found is None else found[1]

    def revive(self, ids: Sequence[str]) -> list[str]:
        """Run dead tasks again, with a clean slate; return the ids of those that were there."""
        return self.revive_free(ids)[0]

    def revive_free(self, ids: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Do as `revive`; return those that stay dead as well, as another has their unique key: id → that one's."""
        entries, kept = [], {}
        storage, unique = self._storage, UniqueKeys(self._storage)
        with storage.lock:
            for task_id in ids:
                if (found := storage.dead.get(task_id)) is None:
                    continue
                if other := unique.holder(found[2].envelope):
                    kept[task_id] = other
                    continue
                del storage.dead[task_id]
                storage.records.pop(task_id, None)
                old = found[2]
                history = History().with_checkpoint() if task_id in storage.checkpoints else History()
                entries.append(Entry(task_id, old.envelope, old.registry, old.original, 0, history, step=old.step))
                unique.enter(entries[-1:])
            Steps(storage).revived()
        self._runner.run(storage, entries)
        return [entry.id for entry in entries], kept


_STATES = {"ready": WAITING, "scheduled": SCHEDULED, "parked": PARKED}


def _is_meant(entry: Entry, sought: Sought) -> bool:
    found = envelope.decode(entry.envelope)
    is_fired = not sought.schedule or entry.id.startswith(f"periodic:{sought.schedule}:")
    headers = {name: value for member in sought.headers for name, value in json.loads(member).items()}
    is_named = sought.task in ("", found.task) and headers.items() <= found.headers.items()
    return is_fired and is_named and _STATES[place(entry)] in sought.states
