"""MemoryBacking: what stands behind tasks inside `queue.testing()`: keeps their checkpoints in memory. Nothing stops there."""

from __future__ import annotations

from hotqueue.tasks.testing.storage import Entry, Storage


class MemoryBacking:
    """What stands behind one task; see `Backing`."""

    is_stopping = False

    def __init__(self, storage: Storage, entry: Entry) -> None:
        self._storage, self._entry = storage, entry
        self.signer = entry.registry.checkpoint_signer(storage.name)

    def keep(self, task_id: str, data: bytes, patience: float | None = None, is_further: bool = False) -> bool:
        """Keep a checkpoint; False when the task was revoked meanwhile."""
        with self._storage.lock:
            is_there = self._storage.unfinished.get(task_id) is self._entry
            if is_there:
                self._storage.checkpoints[task_id] = data
        return is_there

    async def akeep(self, task_id: str, data: bytes, is_further: bool = False) -> bool:
        """Asyncio twin of `keep`."""
        return self.keep(task_id, data, None, is_further)

    def kept(self, task_id: str) -> bytes | None:
        """Return what is kept."""
        return self._storage.checkpoints.get(task_id)

    async def akept(self, task_id: str) -> bytes | None:
        """Asyncio twin of `kept`."""
        return self.kept(task_id)
