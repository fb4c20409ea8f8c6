"""A supervisor's quarantine: processes for tasks that are suspected of killing theirs, beside the working ones.

It claims suspects in Redis, so that no two supervisors start a process for the same, says which process to start, and lets a
claim go once its process has what it came for, or has ended. A claim is a lease: whoever dies in between, it runs out.
`attend` is called from the threads of upkeep, all else from the supervisor's loop.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.worker.child import Suspects

log = logging.getLogger("hotqueue.worker")

AFTER_FAILURE = 5.0  # seconds for which none is started for a queue after one that died of no task, or could not load


class Quarantine:
    """The quarantine processes of one supervisor.

    Args:
        supervisor: its incarnation.
        write_later: has something written at a queue, now or when its server is back.

    Attributes:
        room: how many processes more there may be.
    """

    def __init__(self, supervisor: str, lease_ms: int, write_later: Callable[[Broker, Callable[[], None]], None]) -> None:
        self._supervisor = supervisor
        self._lease_ms = lease_ms
        self._write_later = write_later
        self.room = 0
        self._claimed: dict[tuple[str, str], Suspects] = {}  # by queue and store: for which a process is to start, or starts
        self._brokers: dict[tuple[str, str], Broker] = {}
        self._granted: deque[Suspects] = deque()
        self._waiting: set[tuple[str, str]] = set()  # where there were suspects when we last looked
        self._not_before: dict[tuple[str, str], float] = {}
        self._largest: dict[tuple[str, str], int] = {}  # after a failure: for how many the next process is, at most

    def attend(self, broker: Broker, suspects: int) -> None:
        """See to a queue's suspects: claim some where there is room for a process, or renew the claim of one that starts."""
        at = (broker.name, str(broker.store))
        if not suspects:
            self._waiting.discard(at)
            return
        self._waiting.add(at)
        is_ours, rests = at in self._claimed, time.monotonic() < self._not_before.get(at, 0.0)
        if not is_ours and not rests and self.room <= len(self._granted):
            return
        width, size = (0, 0) if rests else broker.claim(self._supervisor, self._lease_ms)
        if width and not is_ours:
            size = min(size, self._largest.get(at, size))
            self._brokers[at], self._claimed[at] = broker, Suspects(*at, width, size)
            self._granted.append(self._claimed[at])
        elif not width and not is_ours:
            self._waiting.discard(at)  # others see to them, or nobody can just now

    def next(self) -> Suspects | None:
        """Return the suspects for which a process is to be started now."""
        return self._granted.popleft() if self._granted else None

    def note(self, each: Child) -> None:
        """Look at a quarantine process: what it runs needs no claim any more."""
        if each.suspects is not None and each.running():
            self._release(each.suspects)

    def ended(self, suspects: Suspects, well: bool) -> None:
        """Note that a process has ended, or that none could be started.

        Args:
            well: False when it ran nothing, and not because nothing was left.
        """
        self._release(suspects)
        at = suspects.queue, suspects.store
        self._largest.pop(at, None)
        if not well:  # it may have wanted more threads, or files, than there are
            self._not_before[at] = time.monotonic() + AFTER_FAILURE
            self._largest[at] = max(1, suspects.size // 2)

    def close(self) -> None:
        """Start nothing any more."""
        self.room = 0
        while (suspects := self.next()) is not None:
            self._release(suspects)

    @property
    def has_claimed(self) -> bool:
        """True while a process is to be started."""
        return bool(self._granted)

    @property
    def is_needed(self) -> bool:
        """True while suspects wait, when last looked, that a process of ours can run."""
        return bool(self._granted or self._waiting)

    def _release(self, suspects: Suspects) -> None:
        at = suspects.queue, suspects.store
        if self._claimed.get(at) is suspects:  # else that claim is of a later process
            del self._claimed[at]
            self._write_later(self._brokers[at], partial(self._brokers[at].release, self._supervisor))
