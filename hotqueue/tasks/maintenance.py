"""What keeps queues in order whatever dies: renew leases, promote what is due, reap the lost, take back what drags, trim.

A supervisor does it for its children, `run_worker` for itself; any number of them may do it side by side.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from hotqueue import presence
from hotqueue.connection import Store
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.tasks.attempts import error_line
from hotqueue.tasks.broker import Broker
from hotqueue.tasks.permits import Permits
from hotqueue.tasks.running import read_running

log = logging.getLogger("hotqueue.worker")

EVERY = 1.0  # seconds between two sweeps
AUDIT_EVERY = 5.0  # seconds between two looks for tasks that stand nowhere
REVOKED_MS = 3_600_000
PAY_AGAIN = 0.1  # seconds between two tries at a write that Redis did not take
OLD = 3600.0  # seconds after which a dead worker's file is nobody's affair: whoever was to remove it died too
REMEMBERED = 150.0  # seconds a dead worker's file stays: longer than any lease
DRAGS = 0.05  # seconds after which a task in hand drags, and the unstarted ones behind it go to others


class Debts:
    """Writes that have to be done, in order, now or when Redis is back; each may be repeated. One thread pays at a time."""

    def __init__(self) -> None:
        self._writes: deque[Callable[[], None]] = deque()
        self._told = ""
        self._again_at = 0.0

    def owe(self, write: Callable[[], None]) -> None:
        """Keep a write for `pay`."""
        self._writes.append(write)

    @property
    def are_left(self) -> bool:
        """True while something is owed."""
        return bool(self._writes)

    @property
    def are_due(self) -> bool:
        """True when there is something to pay, and Redis has not refused it just now."""
        return bool(self._writes) and time.monotonic() >= self._again_at

    def pay(self) -> None:
        """Do what is owed, as far as Redis lets us."""
        while self._writes:
            try:
                self._writes[0]()
            except HotQueueError as error:
                self._again_at = time.monotonic() + PAY_AGAIN
                if not isinstance(error, ConnectionFailed) and str(error) != self._told:
                    self._told = str(error)
                    log.error("%s; trying again until it can be done", error)
                return
            self._writes.popleft()


class Upkeep:
    """The upkeep of some queues by one process.

    Args:
        terminate: called with the id of a running task that is to be stopped, whoever runs it.
        give_up: called with one of our workers that others have given up: what it runs is lost.

    Attributes:
        own: the workers whose leases are renewed.
        debts: writes that could not be done yet.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        lease_ms: int,
        terminate: Callable[[str], None] = lambda _id: None,
        give_up: Callable[[str], None] = lambda _worker: None,
        debts: Debts | None = None,
    ) -> None:
        self.own: list[str] = []
        self.debts = debts or Debts()
        self._brokers = brokers
        self._lease_ms = lease_ms
        self._terminate = terminate
        self._give_up = give_up
        self._next = 0.0
        self._folders: dict[str, str] = {}
        self._healthy_since: dict[str, float] = {}
        self._clocks: dict[str, float] = {}
        self._buried: dict[tuple[str, str], float] = {}
        self._audit_at: dict[str, float] = {}
        self._trimmed = 0
        self._outage = False
        self._succeeded: float | None = None
        self._tidy_at = time.monotonic() + REMEMBERED

    def seconds_since_success(self) -> float | None:
        """Return how long ago all queues were last swept; None if never."""
        return None if self._succeeded is None else time.monotonic() - self._succeeded

    @property
    def is_due(self) -> bool:
        """True when `beat` has something to do."""
        return self.debts.are_due or time.monotonic() >= self._next

    def sweep_soon(self) -> None:
        """Have the next `beat` sweep: somebody died, and may have left more than we know of."""
        self._next = 0.0

    def beat(self) -> None:
        """Pay what is owed, and sweep every queue if it is time to; an outage, or a key of the wrong type, is waited out."""
        self.debts.pay()
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        self._forget_the_buried()
        away: list[Store] = []
        for broker in self._brokers:
            if broker.store in away:  # one server that answers nothing costs one time-out, not one for each queue
                self._healthy_since.pop(broker.name, None)
                continue
            try:
                self._sweep(broker)
                self._outage = False
                self._succeeded = time.monotonic()
            except HotQueueError as error:
                self._healthy_since.pop(broker.name, None)
                if isinstance(error, ConnectionFailed) and not broker.store.is_cluster:
                    away.append(broker.store)
                if not self._outage:
                    log.warning("upkeep of queue %s: %s; trying again until it answers", broker.name, error)
                self._outage = True

    def _sweep(self, broker: Broker) -> None:
        survey = broker.sweep(self._lease_ms, self.own)
        if self._is_ahead(broker.name, survey.now):
            self._healthy_since.pop(broker.name, None)
        since = self._healthy_since.setdefault(broker.name, time.monotonic())
        for worker, left in survey.others:
            self._look_at(broker, worker, left, time.monotonic() - since)
        for worker in survey.gone:
            self._give_up(worker)
        if survey.due == 0:
            broker.promote()
        self._audit(broker)
        for task_id, record in survey.stops.items():
            # It may have come back to the queue meanwhile; if it runs in a process of ours, that is ended.
            if broker.revoke(task_id, record, REVOKED_MS, broker.look(task_id).attempts.need) == "running":
                self._terminate(task_id)
        if survey.now // 60_000 != self._trimmed:
            self._trimmed = survey.now // 60_000
            broker.trim_stats(self._trimmed - 24 * 60)

    def _is_ahead(self, queue: str, now: int) -> bool:
        """Tell whether the server's clock was put ahead since the last sweep (or another server took over): leases ran out."""
        ahead = now - time.monotonic() * 1000
        before, self._clocks[queue] = self._clocks.get(queue, ahead), ahead
        return ahead - before > self._lease_ms / 2

    def _audit(self, broker: Broker) -> None:
        if time.monotonic() < self._audit_at.setdefault(broker.name, time.monotonic() + random.uniform(1, AUDIT_EVERY)):
            return
        self._audit_at[broker.name] = time.monotonic() + AUDIT_EVERY
        if restored := broker.audit():
            log.error("queue %s: %d tasks stood nowhere (was one of its keys deleted?); they run again", broker.name, restored)

    def _look_at(self, broker: Broker, worker: str, left: int, healthy: float) -> None:
        """Reap another's worker if it is dead: known by its flock on this host, else by its lease. One that lives, but is
        stopped (Ctrl-Z) together with its supervisor, keeps what it runs and nothing else.

        After an outage, or when the server's clock was put ahead, every lease has run out, of the living as well: so leases
        count only once this process has seen the server well for as long as a lease lasts.
        """
        if worker not in self._folders:
            if len(self._folders) > 10_000:
                self._folders.clear()
            self._folders[worker] = broker.folder_of(worker)
        folder = self._folders[worker]
        alive = presence.is_alive(folder, worker)
        is_overdue = left < 0 and healthy * 1000 >= self._lease_ms
        if alive is False:
            self._reap_dead_neighbour(broker, worker, folder)
        elif alive and is_overdue and not read_running(presence.read_state(folder, worker) or b""):
            if broker.reap(worker, known_dead=False) is not None:
                log.warning("worker %s of queue %s is stopped: what it had not started goes to others", worker, broker.name)
        elif alive is None and is_overdue:
            cause = json.dumps(error_line("lost", "its worker's lease ran out (host gone, or stopped)", int(time.time() * 1000)))
            if broker.reap(worker, known_dead=False, cause=cause, charged=None) is not None:
                log.warning(
                    "worker %s of queue %s is lost: its lease ran out; what it held goes back to the queue", worker, broker.name
                )

    def _reap_dead_neighbour(self, broker: Broker, worker: str, folder: str) -> None:
        state = presence.read_state(folder, worker)
        charged = None if state is None else [task_id for task_id, _, _ in read_running(state)]
        cause = json.dumps(error_line("lost", "its worker and the worker's supervisor died", int(time.time() * 1000)))
        broker.reap(worker, known_dead=True, cause=cause, charged=charged)
        self._buried.setdefault((folder, worker), time.monotonic())
        log.warning("worker %s of queue %s died; what it held goes back to the queue", worker, broker.name)

    def _forget_the_buried(self) -> None:
        """Remove what the dead left, but late: who looks after their other queues sees by it that they died, and of what."""
        now = time.monotonic()
        for buried in [each for each, at in self._buried.items() if now - at >= REMEMBERED]:
            del self._buried[buried]
            presence.forget(*buried)
        if now >= self._tidy_at:  # not at the start: of a worker that died just before, its file tells what it ran
            self._tidy_at = now + OLD
            presence.tidy(OLD)

    def take_back_if_dragging(self, worker: str, state: bytes, permits: Permits) -> None:
        """As `take_back`, when the task in hand takes its time."""
        running = read_running(state)
        if running and time.monotonic() - running[0][1] >= DRAGS:
            self.take_back(worker, permits)

    def take_back(self, worker: str, permits: Permits) -> None:
        """Have a worker's unstarted tasks put back: it starts none of them from now on, and `debts` holds the rest."""
        for number, count in permits.drain().items():
            self.debts.owe(_taking_back(self._brokers, worker, number, count))


def _taking_back(brokers: Sequence[Broker], worker: str, number: int, count: int) -> Callable[[], None]:
    mark = os.urandom(8).hex()  # one for all tries: the reply of an earlier one may be what was lost

    def write() -> None:
        for broker in brokers:
            if broker.take_back(worker, number, count, mark):
                return

    return write
