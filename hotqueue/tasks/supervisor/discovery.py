"""Discovery: the queues of one store that a worker's globs stand for: when to listen, to look for new ones, and which are gone.

All of it is done by a thread that lives only while there is something to do, as upkeep is; nobody waits for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hotqueue.errors import HotQueueError
from hotqueue.runtime.background import Background
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.queue_names import IN_USE, NOTHING, QueueNames

log = logging.getLogger("hotqueue.worker")

EVERY = 1.0  # seconds between two turns
LOOKS = 0.2  # seconds of a turn for a first look at all keys
WAITS = 2.0  # seconds for one trip
LOOKED_AT = 5  # queues of which it is looked in a turn what is left
AT_MOST_EVERY = 5.0  # seconds between two such looks at one queue
KEPT = 300.0  # seconds for which a queue without a task is worked at all the same


@dataclass
class Found:
    """A queue that was found.

    Attributes:
        idle_since: since when it has no task (monotonic); None while it has some.
        looked_at: when that was seen (monotonic).
    """

    broker: Broker
    idle_since: float | None = None
    looked_at: float = field(default_factory=time.monotonic)


class Discovery:
    """The queues of one store that globs stand for.

    Args:
        names: of queues, and globs.
        broker_of: makes the queue of a name.
        changed: called by `conclude` with the queues that were found, and those that are gone.
        ended: called in the thread when it is done.

    Attributes:
        queues: those that were found and are not gone, by their names.
    """

    def __init__(
        self,
        names: Sequence[str],
        store: Store,
        broker_of: Callable[[str], Broker],
        changed: Callable[[list[Broker], list[Broker]], None],
        ended: Callable[[], None],
    ) -> None:
        self.queues: dict[str, Found] = {}
        self.background = Background(ended)
        self._names = QueueNames(store, names)
        self._broker_of, self._changed = broker_of, changed
        self._not_theirs: set[str] = set()
        self._next = 0.0
        self._is_first = True  # look at all keys, as fast as that can be
        self._is_away = False
        self._is_deaf = False

    def leave_out(self, names: Iterable[str]) -> None:
        """Do not look for these queues: they are worked at anyway."""
        self._not_theirs.update(names)

    def fileno(self) -> int | None:
        """Return what can be read as soon as there is something to do; None while only time tells."""
        return self._names.fileno() if self.background.is_free else None

    def soon(self) -> None:
        """Have the next turn come at once."""
        self._next = 0.0

    def begin(self) -> None:
        """Begin a turn, if it is time to, and none is under way."""
        if self.background.is_free and time.monotonic() >= self._next:
            self.background.begin(self.turn, lambda found: self.take_in(*found))

    def take_in(self, found: set[str], gone: list[str]) -> None:
        """Note what a turn has found out, in the caller's thread."""
        lost = [self.queues.pop(name).broker for name in gone]
        new = {name: Found(self._broker_of(name)) for name in sorted(found - self._not_theirs - self.queues.keys())}
        self.queues.update(new)
        if new or lost:
            self._changed([each.broker for each in new.values()], lost)

    # --- one turn --------------------------------------------------------------------------------------------------

    def look_at_all(self, seconds: float) -> None:
        """Look at all keys, in the caller's thread, for so long at most; what is left is for the next turns."""
        until = time.monotonic() + seconds
        while True:
            self.take_in(*self.turn())
            if not self._is_first or self._is_away or time.monotonic() >= until:
                return

    def turn(self) -> tuple[set[str], list[str]]:
        """Return the queues that there are more, as far as is known, and those that are gone."""
        found: set[str] = set()
        gone: list[str] = []
        try:
            with self._names.store.limited(WAITS):
                self._listen()
                found |= self._there(self._names.heard())
                found |= self._looked()
                gone = self._gone()
            self._is_away = False
        except HotQueueError as error:
            self._say(error)
            self._names.close()
        is_fast = self._is_first and self._names.is_looking
        self._next = time.monotonic() + (0.0 if is_fast else EVERY)
        return found - set(gone), gone

    def _listen(self) -> None:
        try:
            if self._names.listen():
                self._names.look_again()
                self._is_first = True
        except HotQueueError as error:
            if not self._names.is_refused:
                raise
            if not self._is_deaf:
                log.warning("%s; new queues are found by looking at all keys, which takes longer", error)
            self._is_deaf = True

    def _looked(self) -> set[str]:
        """Look at keys: all of them at first, or where none is heard of; some now and then, as some may come from a copy."""
        found: set[str] = set()
        is_fast = self._is_first or self._names.is_refused
        until = time.monotonic() + LOOKS
        if not self._names.is_looking:
            self._is_first = False
            self._names.look_again()
        while self._names.is_looking:
            found |= self._names.look()
            if not is_fast or time.monotonic() > until:
                return found
        self._is_first = False
        return found

    def _there(self, names: set[str]) -> set[str]:
        """Return those that are in our database: what was heard may be of another one."""
        new = sorted(names - self.queues.keys() - self._not_theirs)
        left = self._names.left_of([Broker(self._names.store, name) for name in new], [False] * len(new)) if new else []
        return {name for name, what in zip(new, left, strict=True) if what != NOTHING}

    def _gone(self) -> list[str]:
        now = time.monotonic()
        due = sorted((each.looked_at, name) for name, each in self.queues.items() if now - each.looked_at > AT_MOST_EVERY)
        some = [self.queues[name] for _, name in due[:LOOKED_AT]]
        long_idle = [each.idle_since is not None and now - each.idle_since > KEPT for each in some]
        left = self._names.left_of([each.broker for each in some], long_idle) if some else []
        for each, what in zip(some, left, strict=True):
            each.looked_at = now
            each.idle_since = None if what == IN_USE else each.idle_since or now
        return [each.broker.name for each, what in zip(some, left, strict=True) if what == NOTHING]

    def _say(self, error: HotQueueError) -> None:
        if not self._is_away:
            log.warning("looking for queues: %s; trying again until it answers", error)
        self._is_away = True
