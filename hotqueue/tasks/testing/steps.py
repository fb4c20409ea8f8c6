"""The steps of workflows inside `queue.testing()`: who waits for whom, and what an end means to those behind it, as in the store.

Runs nothing: see `runner`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue.errors import UnknownTask
from hotqueue.runtime import testing_mode
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.rules.history import JOINED, History
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.testing.storage import Entry, Storage, instant, now
from hotqueue.tasks.wire import envelope, plan, record
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.wire.settlement import Settlement
from hotqueue.tasks.worker.inputs import ENDED_WITHOUT, origins_of
from hotqueue.tasks.workflow.results import REPLACEMENT


class Steps:
    """The steps of one storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def enter(self, entries: Sequence[Entry], steps: Sequence[Step]) -> list[Entry]:
        """Keep steps, all or none; return those that wait for nobody.

        Raises:
            UnknownTask: one waits for a task that was never sent here.
        """
        storage, ids = self._storage, {step.id for step in steps}
        with storage.lock:
            for step in steps:
                for need in step.needs:
                    if need not in ids and not storage.knows(need):
                        raise UnknownTask(f"depends_on= names task {need}, which is unknown in queue {storage.name!r}")
            for entry, step in zip(entries, steps, strict=True):
                if storage.knows(entry.id):
                    continue
                entry.step, entry.waits = step, set(step.needs)
                storage.unfinished[entry.id] = entry
                for need in step.needs:
                    storage.behind.setdefault(need, []).append(entry)
            free = [entry for entry in entries if not entry.waits]
            for need in dict.fromkeys(need for step in steps for need in step.needs if need not in ids):
                if need not in storage.unfinished:
                    free += self.after(need)
        return free

    def replace(self, entry: Entry, data: bytes | str) -> list[Entry]:
        """Put a plan, packed, in the place of a task; return what may run now: the task itself, if it is one call, to run next.

        Of several, the last one is another entry under the id: for whoever sent the task, that has run, and has sent these.
        """
        storage = self._storage
        assert isinstance(data, bytes)
        steps, words = plan.unpacked(data, storage.name)
        with storage.lock:
            if storage.unfinished.get(entry.id) is not entry:
                return []  # revoked meanwhile
            entries = [_entry_of(step, entry) for step in steps]
            own = next(each for each in entries if each.id == entry.id)
            storage.checkpoints.pop(entry.id, None)
            if len(steps) == 1 and not (steps[0].needs or storage.keeps(own)):
                entry.envelope, entry.original, entry.due, entry.history = own.envelope, own.original, own.due, own.history
                return [entry]
            own.successor = entry.successor
            for key, row in storage.unique.items():
                storage.unique[key] = row._replace(holder=own) if row.holder is entry else row
            if len(steps) > 1:
                storage.records[REPLACEMENT + entry.id] = words
                storage.replaced.add(entry.id)
            del storage.unfinished[entry.id]
            return self.enter(entries, steps)

    def after(self, task_id: str) -> list[Entry]:
        """Note that a task has ended; return the steps that may start now. Those that cannot any more are ended, too."""
        storage = self._storage
        free: list[Entry] = []
        ended = [task_id]
        with storage.lock:
            while ended:
                need = ended.pop()
                how = self._how(need)
                for entry in storage.behind.pop(need, []):
                    if storage.unfinished.get(entry.id) is not entry or need not in entry.waits:
                        continue
                    self._told(entry, need, how, free, ended)
        return free

    def _how(self, task_id: str) -> tuple[str, str]:
        """Return how a task ended, "S", "F" or "R" as its state, "D" when it failed itself; and because of which one."""
        data = self._storage.records.get(task_id)
        if data is None:
            return ("D" if task_id in self._storage.dead else "S"), task_id
        found = record.decode(data, task_id)
        if found.origin is not None:
            has_failed_itself = found.state is State.FAILURE and task_id in self._storage.replaced
            return ("D" if has_failed_itself else found.state[0]), found.origin
        return ("D" if found.state is State.FAILURE else found.state[0]), task_id

    def _told(self, entry: Entry, need: str, how: tuple[str, str], free: list[Entry], ended: list[str]) -> None:
        assert entry.step is not None
        code, origin = how
        when = entry.step.when
        entry.waits.discard(need)
        if entry.history.verdict == JOINED:
            free.append(entry)
            return
        if when == "F" and code == "D":
            entry.waits.clear()
            free.append(entry)
        elif when == "F":
            if not entry.waits:
                self._drop(entry)
        elif when == "S" and code != "S":
            entry.waits.clear()
            blob = f"C{'R' if code == 'R' else 'F'}{now()} {origin}"
            self._storage.carry_out(entry, Settlement(entry.id, 0, "E", blob, 0, ""))
            ended.append(entry.id)
            if code != "R":
                self._storage.cut_off.append(entry)
        elif not entry.waits:
            free.append(entry)

    def revived(self) -> None:
        """Have those steps wait again that ended behind dead ones which are dead no more; those of before come first."""
        storage, still = self._storage, []
        for entry in storage.cut_off:
            assert entry.step is not None
            waits = {need for need in entry.step.needs if need in storage.unfinished}
            if all(need in waits or self._how(need)[0] == "S" for need in entry.step.needs):
                del storage.records[entry.id]
                entry.waits = waits
                storage.unfinished[entry.id] = entry
                for need in waits:
                    storage.behind.setdefault(need, []).append(entry)
            else:
                still.append(entry)
        storage.cut_off = still

    def _drop(self, entry: Entry) -> None:
        """Forget an errback that is not wanted, and what waits for it."""
        dropped = [entry]
        while dropped:
            one = dropped.pop()
            self._storage.unfinished.pop(one.id, None)
            dropped += self._storage.behind.pop(one.id, [])

    def is_to_be_kept(self, entry: Entry) -> bool:
        """Tell whether a step takes the value of a task, so that it is to be kept."""
        steps = [(behind.step, behind) for behind in self._storage.behind.get(entry.id, ()) if behind.step is not None]
        return any(step.takes or behind.history.verdict == JOINED for step, behind in steps)


def _entry_of(step: Step, replaced: Entry) -> Entry:
    """Return what is known of a step that is put in the place of a task."""
    sandbox = testing_mode.sandbox
    original = None if sandbox is None else sandbox.originals.pop(step.id, None)
    registry = original.client if original is not None and isinstance(original.client, Registry) else replaced.registry
    history = History(expires=instant(step.expires)) if step.expires else History()
    due = instant(step.due) if step.due else 0
    return Entry(step.id, step.envelope, registry, original, due, history, replaced, replaced.depth)


def inputs(storage: Storage, entry: Entry) -> dict[str, bytes | None] | None:
    """Return what a worker would have read for a step: the records of those before it; None for what is none."""
    if entry.history.verdict == JOINED:
        return {entry.history.holder: _record(storage, entry.history.holder)}
    said = envelope.decode(entry.envelope).flow if entry.envelope[3] & envelope.STEP else None
    if said is None:
        return None
    found = {need: _record(storage, need) for need in said.get("needs", ())}
    also = origins_of(list(found.values())) if "of" in said else ()
    return {**{origin: _record(storage, origin) for origin in also}, **found}


def _record(storage: Storage, task_id: str) -> bytes | None:
    return storage.records.get(task_id, ENDED_WITHOUT if task_id in storage.done else None)
