"""The schedules of a queue inside `queue.testing()`: kept, changed and listed as in the store; none of them fires by itself."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.testing.storage import Storage, now


class MemorySchedules:
    """The methods of `Scheduling`, as far as programs call them."""

    _storage: Storage

    def next_slot(self) -> tuple[int, int]:
        """Return the time, and that no slot is awaited."""
        return now(), -1

    def set_schedules(self, changes: Sequence[Change]) -> list[bool]:
        """Change schedules; tell which changes were done."""
        kept, done = self._storage.schedules, []
        with self._storage.lock:
            for change in changes:
                row, state = kept.get(change.name, (b"", ""))
                done.append(state == change.before)
                if state == change.before and change.after:
                    kept[change.name] = (change.row or row, change.after)
                elif state == change.before:
                    kept.pop(change.name, None)
        return done

    def schedule_states(self, names: Sequence[str]) -> list[str]:
        """Return the states of schedules, "" of those that are not there."""
        return [self._storage.schedules.get(name, (b"", ""))[1] for name in names]

    def schedules(self, names: Sequence[str] | None = None) -> list[tuple[str, bytes, str]]:
        """Return (name, row, state) of all schedules, or of some."""
        with self._storage.lock:
            kept = sorted(self._storage.schedules.items())
        return [(name, row, state) for name, (row, state) in kept if names is None or name in names]

    def declarers(self) -> dict[str, int]:
        """Return that nobody declares any."""
        return {}
