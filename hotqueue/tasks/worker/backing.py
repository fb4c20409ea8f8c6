"""StoredBacking: what stands behind the running tasks of a queue: keeps their checkpoints, as long as they are this worker's.

For any thread, and for event loops: it uses what the worker knows of a task that runs, and changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hotqueue.signing import Signer
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.rules.history import decode
from hotqueue.tasks.wire.settlement import Delivery


class StoredBacking:
    """What stands behind the running tasks of one queue; see `Backing`.

    Args:
        in_hand: id → delivery, of what the worker has in hand.

    Attributes:
        signer: of checkpoints.
        stopping: tells whether tasks are to go on elsewhere, if they can.
        forgive: called with the id of a task that has come further than in its runs before, whose deaths count no more.
    """

    def __init__(self, session: Session, in_hand: Mapping[str, Delivery], signer: Signer | None) -> None:
        self._session, self._in_hand = session, in_hand
        self.signer = signer
        self.stopping: Callable[[], bool] = bool
        self.forgive: Callable[[str], object] = str

    @property
    def is_stopping(self) -> bool:
        """True once tasks are to go on elsewhere, if they can."""
        return self.stopping()

    def keep(self, task_id: str, data: bytes, patience: float | None, is_further: bool = False) -> bool:
        """Keep a checkpoint; False when the task is another's by now. Seconds of patience; None: the usual ones."""
        delivery = self._in_hand.get(task_id)
        if delivery is None:
            return False
        is_further = is_further and decode(delivery.history).deliveries > 0
        is_ours = self._session.checkpoint(delivery, data, ... if patience is None else patience, is_further)
        if is_ours and is_further:
            self.forgive(task_id)
        return is_ours

    async def akeep(self, task_id: str, data: bytes, is_further: bool = False) -> bool:
        """Asyncio twin of `keep`."""
        delivery = self._in_hand.get(task_id)
        if delivery is None:
            return False
        is_further = is_further and decode(delivery.history).deliveries > 0
        is_ours = await self._session.acheckpoint(delivery, data, is_further)
        if is_ours and is_further:
            self.forgive(task_id)
        return is_ours

    def kept(self, task_id: str) -> bytes | None:
        """Return what is kept."""
        return self._session.broker.checkpoint(task_id)

    async def akept(self, task_id: str) -> bytes | None:
        """Asyncio twin of `kept`."""
        return await self._session.broker.acheckpoint(task_id)
