"""Which tasks are the only ones of their kind inside `queue.testing()`, and what waits behind one; as lua/shared/unique.lua says.

Runs nothing: see `runner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hotqueue.tasks.broker import duplicates
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.rules import unique
from hotqueue.tasks.rules.history import DUPLICATE, JOINED, error_line
from hotqueue.tasks.testing.storage import Entry, Row, Storage, now
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.settlement import Settlement


class UniqueKeys:
    """The unique keys of one storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def holder(self, data: bytes) -> str:
        """Return the id of the task that has the key of a call; "" where none has."""
        key = duplicates.key_of(data)
        row = None if key is None else self._live(key)
        return "" if row is None else row.holder.id

    def enter(self, entries: Sequence[Entry]) -> list[bool | str]:
        """Keep tasks, all or none; return what `Broker.enqueue` does.

        Raises:
            DuplicateTask: some are there already.
        """
        storage, before = self._storage, dict(self._storage.unique)
        known: list[bool | str] = []
        replaced: list[tuple[Entry, Entry]] = []
        refused: list[bytes | int] = []
        with storage.lock:
            for number, entry in enumerate(entries, 1):
                if storage.knows(entry.id):
                    known.append(False)
                    continue
                other, is_error = self._claim(entry, replaced)
                if other is None:
                    storage.unfinished[entry.id] = entry
                    known.append(True)
                else:
                    known.append(other.id)
                    refused += [number, other.id.encode()] if is_error else []
            if refused:
                storage.unique = before
                for entry, is_new in zip(entries, known, strict=True):
                    if is_new is True:
                        del storage.unfinished[entry.id]
                duplicates.stored([b"duplicate", *refused], [Encoded(each.id, "", "", each.envelope) for each in entries])
        for old, new in replaced:
            storage.carry_out(old, Settlement(old.id, 0, "E", f"U{now()} {new.id}", 0, ""))
        return known

    def check_first(self, entries: Sequence[Entry]) -> None:
        """Look at the first steps of a workflow before it is kept.

        Raises:
            DuplicateTask: the key of one is taken, which is an error.
        """
        refused: list[bytes | int] = []
        seen: dict[str, Entry] = {}
        for number, entry in enumerate(entries, 1):
            if (said := _said(entry)) is None or said.on_conflict == "ignore":
                continue
            row = self._live(said.key)
            other = seen.get(said.key) if row is None else row.holder
            if said.on_conflict == "raise" and other is not None:
                refused += [number, other.id.encode()]
            seen[said.key] = entry
        if refused:
            duplicates.stored([b"duplicate", *refused], [Encoded(each.id, "", "", each.envelope) for each in entries])

    def begin(self, entry: Entry) -> bool:
        """Have a step of a workflow take its key, as it begins; False where it waits instead."""
        said = None if entry.running or entry.waits else _said(entry)
        if said is None or entry.history.verdict in (DUPLICATE, JOINED):
            return True
        row, replaced = self._live(said.key), list[tuple[Entry, Entry]]()
        if row is not None and row.holder is entry:
            return True
        if row is None or (said.on_conflict == "replace" and not self._waits_for(row.holder, entry)):
            self._claim(entry, replaced)
            for old, new in replaced:
                self._storage.carry_out(old, Settlement(old.id, 0, "E", f"U{now()} {new.id}", 0, ""))
            return entry.history.need != BEHIND
        is_joined, holder = said.on_conflict == "ignore" and not self._waits_for(row.holder, entry), row.holder.id
        kind = "joined" if is_joined else "duplicate"
        error = error_line(kind, f"task {holder} has the unique key", now(), task=holder)
        verdict = JOINED if is_joined else DUPLICATE
        entry.history = replace(entry.history, verdict=verdict, errors=[*entry.history.errors, error])
        if is_joined:
            entry.waits.add(holder)
            self._storage.behind.setdefault(holder, []).append(entry)
        return not is_joined

    def _waits_for(self, entry: Entry, step: Entry) -> bool:
        """Tell whether a task waits, however indirectly, for a step to end."""
        line = [step.id]
        for task_id in line:
            line += [each.id for each in self._storage.behind.get(task_id, ()) if each.id not in line]
        return entry.id in line[1:]

    def _claim(self, entry: Entry, replaced: list[tuple[Entry, Entry]]) -> tuple[Entry | None, bool]:
        """Return who is there before a task, and whether that is an error; None where it has the key now, or waits."""
        if (said := _said(entry)) is None:
            return None, False
        row = self._live(said.key)
        if row is not None and said.on_conflict != "replace":
            return row.holder, said.on_conflict == "raise"
        if row is None or (row.next is None and not row.holder.running):
            if row is not None:
                replaced.append((row.holder, entry))
            self._storage.unique[said.key] = Row(entry, now() + said.for_ms if said.for_ms else 0, said.until)
            return None, False
        if row.next is not None:
            replaced.append((row.next, entry))
        self._storage.unique[said.key] = row._replace(next=entry)
        row.holder.successor, entry.history = entry, replace(entry.history, need=BEHIND)
        return None, False

    def _live(self, key: str) -> Row | None:
        row = self._storage.unique.get(key)
        if row is None:
            return None
        if row.next is not None and not self._is_there(row.next):
            row = row._replace(next=None)
        has_begun = row.until == "started" and row.holder.running
        if self._is_there(row.holder) and not has_begun and not 0 < row.till <= now():
            return row
        return None if row.next is None else Row(row.next, 0, "ended")

    def _is_there(self, entry: Entry) -> bool:
        return self._storage.unfinished.get(entry.id) is entry


def _said(entry: Entry) -> unique.Read | None:
    """Return what a task says of its key; None for one that has none."""
    is_unique = entry.envelope[3] % 32 >= envelope.UNIQUE
    return unique.read(envelope.decode(entry.envelope).unique) if is_unique else None
