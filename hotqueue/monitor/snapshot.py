"""A snapshot: how all queues of a store, its workers and its server are at one moment, read in a few trips. Reads only.

For screens and pages that show everything at once: a thousand queues are read together, never one after another, and whoever
looks at the same store in the same process shares one `Snapshots`, which reads at most once a second for all of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hotqueue.errors import ConfigError, HotQueueError
from hotqueue.monitor import crowd, finding, inventory, warnings
from hotqueue.monitor.crew import Known, crew
from hotqueue.monitor.crowd import QueueFacts, ServerFacts
from hotqueue.monitor.pace import Pace
from hotqueue.monitor.workers import Worker
from hotqueue.store.store import Store
from hotqueue.tasks.rules import globs

log = logging.getLogger("hotqueue.monitor")

FRESH = 1.0  # seconds for which a snapshot is good
SHARE = 50  # a look at all keys of the server, for queues that appeared, takes one part in so many of the time
LONGEST = 60.0  # seconds until the next one
FEW = 2_000  # keys, for the look at which somebody may wait
KEYS_A_SECOND = 300_000  # are looked at, about, by us; the server is quicker


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a store is.

    Attributes:
        store: where it is, without its password.
        refused: a sentence for each queue that cannot be read.
        warnings: what somebody should look at, the worst first.
    """

    at: datetime
    store: str
    server: ServerFacts
    queues: tuple[QueueFacts, ...] = ()
    workers: tuple[Worker, ...] = ()
    refused: tuple[str, ...] = ()
    warnings: tuple[warnings.Warning, ...] = ()
    by_name: dict[str, QueueFacts] = field(default_factory=dict)

    def total(self, what: str) -> int:
        """Return the sum over all queues of one of their numbers, such as ``waiting``."""
        return sum(getattr(queue, what) for queue in self.queues)


@dataclass
class Read:
    """What the last snapshot was made of: of what has not changed since, nothing is made anew."""

    glances: dict[str, crowd.Glance] = field(default_factory=dict)
    crew: Known = field(default_factory=Known)


def snapshot(store: Store, names: Sequence[str], before: Read | None = None, server: ServerFacts | None = None) -> Snapshot:
    """Return how these queues are now.

    Args:
        before: what the last one was made of; takes in what this one reads.
        server: how that is, where it was asked already.

    Raises:
        ConnectionFailed: the server is away.
    """
    before = Read() if before is None else before
    before.glances = dict(zip(names, crowd.look(store, names, before.glances), strict=True))
    queues = [each.facts for each in before.glances.values()]
    found = crew(store, {name: each.registered for name, each in before.glances.items()}, before.crew)
    server = crowd.server(store) if server is None else server
    return Snapshot(
        *(datetime.now(UTC), str(store), server, tuple(queues), tuple(found)),
        tuple(queue.refused for queue in queues if queue.refused),
        tuple(warnings.warnings(server, queues, found)),
        {queue.name: queue for queue in queues},
    )


class Snapshots:
    """The snapshots of one store in this process: one a second, however many look.

    Args:
        names: of queues, and globs; none: all queues of the store.
    """

    def __init__(self, store: Store, names: Sequence[str] = ()) -> None:
        self.store = store
        self._names = tuple(names)
        self._lock = threading.Lock()
        self._last: Snapshot | None = None
        self._read_at = -FRESH
        self._failure: HotQueueError | None = None  # of the last reading
        self._failed_at = -FRESH
        self._known: dict[str, None] = {}
        self._keys = 0  # there were at last
        self._list_at = 0.0  # when to look again
        self._listing: threading.Thread | None = None
        self._before = Read()
        self.reads = 0  # how many there were

    def get(self) -> Snapshot:
        """Return a snapshot that is not older than FRESH.

        Raises:
            ConnectionFailed: the server is away.
        """
        asked_at = time.monotonic()
        if (failure := self._failure) is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            raise failure  # one looks whether the server answers again; for the others it is away until then
        try:
            if self._failure is not None and self._failed_at >= asked_at:
                raise self._failure  # we waited for somebody who waited for the server in vain: not each of us in turn
            if self._last is None or time.monotonic() - self._read_at >= FRESH:
                self._last = self._read()
                self._keys = self._last.server.keys
                self._list_behind()
                self._read_at = time.monotonic()
                self.reads += 1
            return self._last
        finally:
            self._lock.release()

    def _read(self) -> Snapshot:
        try:
            server = crowd.server(self.store)  # the first: a server that says nothing is not waited for as for a long list
            found = snapshot(self.store, self._queues(), self._before, server)
            self._failure = None
            return found
        except HotQueueError as error:
            self._failure, self._failed_at = error, time.monotonic()
            raise

    def outdate(self) -> None:
        """Have the next who asks see what somebody has changed just now."""
        with self._lock:
            self._read_at = -FRESH

    def find(self, name: str) -> QueueFacts | None:
        """Return how one queue is, also one that has just appeared; None where there is none, or it is not shown."""
        found = self.get().by_name.get(name)
        if found is None and self.is_meant(name) and self._is_there(name):
            with self._lock:
                self._known[name] = None
                self._read_at = -FRESH
            found = self.get().by_name.get(name)
        return found

    def _is_there(self, name: str) -> bool:
        try:
            return finding.has_trace(self.store, name)
        except ConfigError:  # no queue can have that name
            return False

    def is_meant(self, name: str) -> bool:
        """Tell whether a queue of this name is shown, if it is there."""
        return not self._names or globs.first_match(self._names, name) is not None

    def _queues(self) -> list[str]:
        """Return the queues that are shown; where a look at all keys takes long, those of the last one meanwhile."""
        if self._keys < FEW and self._is_list_due():
            self._list()
        return sorted(self._known)

    def _list_behind(self) -> None:
        """Look at many keys, for the next snapshot: while this one is read, both would wait for each other."""
        if self._keys >= FEW and self._is_list_due():
            self._listing = threading.Thread(target=self._list_aside, name="hotqueue-listing", daemon=True)
            self._listing.start()

    def _list_aside(self) -> None:
        try:
            self._list(Pace())
        except Exception:  # of a store that was closed meanwhile; the next look is another one
            log.debug("a look at all keys failed", exc_info=True)

    def _is_list_due(self) -> bool:
        return self._listing is None and time.monotonic() >= self._list_at

    def _list(self, rest: Pace | None = None) -> None:
        try:
            found = inventory.meant(self.store, self._names, rest=rest)[0] if self._names else None
            names = inventory.queue_names(self.store, rest=rest) if found is None else found
            self._known = dict.fromkeys(names)
        except HotQueueError:
            if self._listing is None:
                raise
        finally:
            # By the number of keys, not by the time that it took: what slowed us down need not have been the server.
            self._list_at = time.monotonic() + max(FRESH, min(LONGEST, SHARE * self._keys / KEYS_A_SECOND))
            self._listing = None
