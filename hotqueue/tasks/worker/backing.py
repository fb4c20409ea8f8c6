"""StoredBacking: what stands behind the running tasks of a queue: keeps their checkpoints, as long as they are this worker's.

For any thread, and for event loops: it uses what the worker knows of a task that runs, and changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hotqueue.signing import Signer
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Delivery


class StoredBacking:
    """What stands behind the running tasks of one queue; see `Backing`.

    Args:
        in_hand: id → delivery, of what the worker has in hand.

    Attributes:
        signer: of checkpoints.
        stopping: tells whether tasks are to go on elsewhere, if they can.
    """

    def __init__(self, session: Session, in_hand: Mapping[str, Delivery], signer: Signer | None) -> None:
        self._session, self._in_hand = session, in_hand
        self.signer = signer
        self.stopping: Callable[[], bool] = bool

    @property
    def is_stopping(self) -> bool:
        """True once tasks are to go on elsewhere, if they can."""
        return self.stopping()

    def keep(self, task_id: str, data: bytes, patience: float | None) -> bool:
        """Keep a checkpoint; False when the task is another's by now. Seconds of patience; None: the usual ones."""
        delivery = self._in_hand.get(task_id)
        return delivery is not None and self._session.checkpoint(delivery, data, ... if patience is None else patience)

    async def akeep(self, task_id: str, data: bytes) -> bool:
        """Asyncio twin of `keep`."""
        delivery = self._in_hand.get(task_id)
        return delivery is not None and await self._session.acheckpoint(delivery, data)

    def kept(self, task_id: str) -> bytes | None:
        """Return what is kept."""
        return self._session.broker.checkpoint(task_id)

    async def akept(self, task_id: str) -> bytes | None:
        """Asyncio twin of `kept`."""
        return await self._session.broker.acheckpoint(task_id)
