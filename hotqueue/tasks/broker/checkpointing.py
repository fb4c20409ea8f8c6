"""Checkpointing: what tasks have kept for their next runs. Who may keep what is for the script to say: see checkpoint.lua."""

from __future__ import annotations

from functools import partial
from types import EllipsisType
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue
from hotqueue.tasks.wire.settlement import Delivery

KEEPING, ASKING = "keeping a checkpoint", "looking for a checkpoint"


class Checkpointing(StoredQueue):
    """The checkpoints of a queue's tasks."""

    def keep_checkpoint(
        self, worker: str, delivery: Delivery, data: bytes, patience: float | EllipsisType | None = ..., is_further: bool = False
    ) -> bool:
        """Keep what a task leaves for its next run; False, and nothing is kept, unless this worker has the task in hand.

        Args:
            patience: see `Store.repeat`.
            is_further: it is more than its earlier runs came to, whose deaths are not held against it any more.

        Raises:
            ConnectionFailed: it is unknown whether it is kept; may be repeated.
            QueueFull: the server is out of memory.
        """
        every_key, args = self._keep_call(worker, delivery, data, is_further)
        keep = partial(self.store.run, scripts.CHECKPOINT, every_key, args, doing=KEEPING)
        return bool(self.store.repeat(keep, patience=patience) == 1)

    async def akeep_checkpoint(self, worker: str, delivery: Delivery, data: bytes, is_further: bool = False) -> bool:
        """Asyncio twin of `keep_checkpoint`."""
        every_key, args = self._keep_call(worker, delivery, data, is_further)
        found = await self.store.arepeat(lambda: self.store.arun(scripts.CHECKPOINT, every_key, args, doing=KEEPING))
        return bool(found == 1)

    def _keep_call(self, worker: str, delivery: Delivery, data: bytes, is_further: bool) -> tuple[list[str], list[Any]]:
        held_as = delivery.held_as or delivery.number
        args = [worker, keys.raw(delivery.id), str(held_as), data, "1" if is_further else ""]
        return self.script_keys.checkpoint(worker), args

    def checkpoint(self, task_id: str) -> bytes | None:
        """Return what a task has kept."""
        key = keys.checkpoints(self.name)
        found: bytes | None = self.store.repeat(lambda: self.store.command(key, "HGET", key, keys.raw(task_id), doing=ASKING))
        return found

    async def acheckpoint(self, task_id: str) -> bytes | None:
        """Asyncio twin of `checkpoint`."""
        key = keys.checkpoints(self.name)
        ask = partial(self.store.acommand, "HGET", key, keys.raw(task_id), doing=ASKING)
        found: bytes | None = await self.store.arepeat(ask)
        return found
