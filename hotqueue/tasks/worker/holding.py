"""Holding: what one worker holds of a queue, and what is known of whether that was settled. Sends nothing.

Under both who settle: the worker, through its Subscription, and its SlowSettlements.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence

from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.context import Channel
from hotqueue.tasks.rules import gates
from hotqueue.tasks.wire import account, envelope
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker import task_log
from hotqueue.tasks.worker.backing import StoredBacking
from hotqueue.tasks.worker.prepare import Ready, prepare

UNENDED = frozenset({"P", "L"})  # the codes that end nothing

log = logging.getLogger("hotqueue.worker")


class Holding:
    """What one worker holds of one queue.

    Attributes:
        in_hand: id → delivery: fetched and not yet settled; what `recover` must not hand out again.
        backing: keeps what running tasks keep for their next runs.
        sent_at: when the fetch was sent that brought what was fetched last (monotonic); 0: nobody knows.
        counted_at: when that was carried out, in server time (ms); 0: the same.
        refusal: what the server said when it refused us last; "" since it takes what we send.
    """

    def __init__(self, registry: Registry, worker: str, kind: str) -> None:
        self.registry = registry
        self.session = Session(registry.broker, worker, kind, registry.tasks)
        self.result_signer = registry.result_signer(registry.name)
        self.in_hand: dict[str, Delivery] = {}
        self.backing = StoredBacking(self.session, self.in_hand, registry.checkpoint_signer(registry.name))
        self.refusal = ""
        self._in_doubt: set[str] = set()  # tasks whose end was settled already, perhaps
        self._cut_off = 0
        self.sent_at, self.counted_at = 0.0, 0
        self._delays: deque[float] = deque(maxlen=8)  # from there to the last starts of tasks with a rate limit
        self._clock = (int(time.time() * 1000), time.monotonic())
        self._worker = worker.encode()[:255]
        self.session.account = self._account

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.registry.name

    def now(self) -> int:
        """Return the server's time in ms, by our monotonic clock since it last told us."""
        at, then = self._clock
        return at + int((time.monotonic() - then) * 1000)

    def _account(self, settlements: Sequence[Settlement]) -> bytes:
        at, then = self._clock
        return account.of_batch(settlements, self.in_hand, at / 1000 - then, time.monotonic(), self._worker)

    def settled(self, settlements: Sequence[Settlement]) -> None:
        """Note that settlements were carried out (or were gone, which is as final)."""
        self._cut_off = 0
        if not settlements:
            return
        self._in_doubt.difference_update(each.id for each in settlements if each.code != "L")
        for each in settlements:
            delivery = self.in_hand.get(each.id)
            if (
                delivery is not None
                and ((delivery.held_as or delivery.number) == each.number or each.number == "*")
                and each.code != "L"
            ):
                self.in_hand.pop(each.id, None)

    def doubt(self, settlements: Sequence[Settlement]) -> None:
        """Note that settlements may have arrived; if they are gone when they are settled again, they had."""
        self._in_doubt.update(each.id for each in settlements)

    def note_gone(self, gone: list[str], settlements: Sequence[Settlement]) -> None:
        """Say which outcomes did not count."""
        never_ran = {each.id for each in settlements if each.code in UNENDED}  # put back before us, or settled already
        for task_id in gone:
            if task_id in self.in_hand and task_id not in never_ran and task_id not in self._in_doubt:
                text = "task %s was no longer ours when it ended; its outcome here does not count"
                log.warning(text, task_log.shown(task_id), extra=task_log.about(task_id))

    def prepare(self, delivery: Delivery, worker: str, channel: Channel | None) -> Ready:
        """Return what is to be done with a delivery; see `prepare`."""
        return prepare(self.registry, self.name, delivery, worker, channel, self.now, backing=self.backing)

    def is_too_late(self, delivery: Delivery) -> bool:
        """Tell whether a task is not to be started any more, as a rate limits it: it was counted when it was fetched.

        It is, and the log of its starts true, if it starts soon. How long replies take here at the least is not held against it.
        """
        most = gates.late_after(envelope.gates_in(delivery.data))
        if most is None:
            return False
        delay, usual = time.monotonic() - self.sent_at, min(self._delays, default=0.0)
        if self.sent_at:
            self._delays.append(delay)
        return delay > most + usual
