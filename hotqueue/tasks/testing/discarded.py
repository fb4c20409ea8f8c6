"""What was thrown away of the dead inside `queue.testing()`, and can be brought back; as lua/discard.lua does."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue.tasks.broker.discarding import LATE, THERE, UNDO_MS, BroughtBack
from hotqueue.tasks.testing.storage import Gone, Storage, now


class MemoryDiscarded:
    """What `Broker` does with what is thrown away. All of it can be brought back: no step behind it stays to be ended."""

    _storage: Storage

    def discard(self, ids: Sequence[str], mark: str = "") -> int:
        """Throw dead tasks away; return how many there were."""
        storage, count = self._storage, 0
        with storage.lock:
            for task_id in ids:
                if (found := storage.dead.pop(task_id, None)) is not None:
                    storage.discarded[task_id] = Gone(now(), mark, found, storage.checkpoints.pop(task_id, None))
                    count += 1
        return count

    def discarded_ids(self) -> list[str]:
        """Return the ids of what may be brought back, the last one first."""
        with self._storage.lock:
            return list(self._storage.discarded)[::-1]

    def undo_discard(self, ids: Sequence[str], mark: str = "") -> BroughtBack:
        """Bring tasks back into the dead list."""
        storage, back = self._storage, BroughtBack()
        with storage.lock:
            for task_id in ids:
                gone = storage.discarded.get(task_id)
                if gone is not None and mark not in ("", gone.mark):
                    continue
                if task_id in storage.dead or task_id in storage.unfinished:
                    back.refused[task_id] = THERE
                elif gone is None or gone.at <= now() - UNDO_MS:
                    back.refused[task_id] = LATE
                else:
                    del storage.discarded[task_id]
                    storage.dead[task_id] = gone.dead
                    if gone.checkpoint is not None:
                        storage.checkpoints[task_id] = gone.checkpoint
                    back.ids.append(task_id)
        return back
