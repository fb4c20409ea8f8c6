"""QueueNames: which queues of a store some globs stand for: those that are there, those that appear, those that are gone.

The script that gives a queue its first task, or its first schedule, says its name to whoever listens (`announce_new` in
enqueue.lua). Who has just begun to listen, or did not for a while, looks at all keys: nobody keeps a list. When to do either is
for the supervisor.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.store import pipeline
from hotqueue.store.scanning import Scan
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules import globs

CHANNEL = "hotqueue:new"
AT_ONCE = 2000  # keys that the server looks at in one step: one or two milliseconds
ASKED = 10.0  # seconds without a word after which the server is asked whether it is still there
ANSWERS = 2.0  # seconds for its answer
REFUSED = 60.0  # seconds until a server that does not let us listen is asked again
NOTHING, IDLE, IN_USE = 0, 1, 2  # what is left of a queue; see what_is_left.lua


class QueueNames:
    """The queues that some globs stand for."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self.store = store
        self._globs = [name for name in names if globs.is_glob(name)]
        self._connection = store.blocking(CHANNEL, ANSWERS)
        self._scans: list[Scan] = []
        self._heard_at = self._refused_until = 0.0

    def _is_meant(self, name: str) -> bool:
        return bool(name) and any(globs.matches(glob, name) for glob in self._globs)

    # --- those that are there ------------------------------------------------------------------------------------

    def look_again(self) -> None:
        """Have all keys looked at from the beginning."""
        patterns = {f"{{{keys.PREFIX}{globs.in_redis(glob)}}}:[st][eac][qsh]*" for glob in self._globs}  # seq, tasks, schedules
        self._scans = [Scan(self.store, pattern, AT_ONCE) for pattern in sorted(patterns)]

    @property
    def is_looking(self) -> bool:
        """True while there are keys to be looked at."""
        return bool(self._scans)

    def look(self) -> set[str]:
        """Look at some keys; return the queues that they are of.

        Raises:
            ConnectionFailed, ConfigError: the server is away, or does not let us list keys.
        """
        if not self._scans:
            return set()
        try:
            found = self._scans[0].step()
        except HotQueueError:
            self.look_again()
            raise
        if self._scans[0].is_over:
            self._scans.pop(0)
        return set(filter(self._is_meant, (keys.name_of(keys.text(key)) for key in found)))

    # --- those that appear ---------------------------------------------------------------------------------------

    def fileno(self) -> int | None:
        """Return what can be read when a queue has appeared; None while we do not listen."""
        return self._connection.fileno() if self._connection.is_connected else None

    @property
    def is_refused(self) -> bool:
        """True while the server does not let us listen."""
        return time.monotonic() < self._refused_until

    def listen(self) -> bool:
        """Listen for queues that appear; True if we did not before, so that some may have appeared unheard.

        Raises:
            HotQueueError: the server is away, or does not let us: then `is_refused` for a minute.
        """
        if self._connection.is_connected or self.is_refused:
            return False
        if self.store.is_cluster:  # all nodes say it; one that is away must not keep us from hearing
            self._connection = self.store.blocking(f"{CHANNEL}:{random.random()}", ANSWERS)
        try:
            self._connection.call("SUBSCRIBE", CHANNEL)
        except HotQueueError as error:
            self.close()
            if not (isinstance(error, ConnectionFailed) and error.retry):
                self._refused_until = time.monotonic() + REFUSED
            raise
        self._heard_at = time.monotonic()
        return True

    def heard(self) -> set[str]:
        """Return the names of the queues that have appeared since; of any database of the server.

        Raises:
            ConnectionFailed: the server is away; `listen` again.
        """
        found: set[str] = set()
        if not self._connection.is_connected:
            return found
        if time.monotonic() - self._heard_at > ASKED:
            self._heard_at = time.monotonic()
            self._connection.send("PING")
            if not self._connection.has_answered(ANSWERS):
                self.close()
                return found
        while self._connection.is_connected and self._connection.has_answered():
            said: Any = self._connection.receive()
            self._heard_at = time.monotonic()
            if said[0] == b"message":
                found.add(keys.text(said[2]))
        return set(filter(self._is_meant, found))

    def close(self) -> None:
        """Listen no more."""
        self._connection.close()

    # --- those that are gone -------------------------------------------------------------------------------------

    def left_of(self, brokers: Sequence[Broker], long_idle: Sequence[bool]) -> list[int]:
        """Return of each queue what is left: NOTHING, IDLE or IN_USE.

        Args:
            long_idle: of each, whether it may be let go of if it is idle: then it is as one that was never there.

        Raises:
            ConnectionFailed: the server is away.
        """
        calls: list[pipeline.Call] = [
            (broker.script_keys.what_is_left(), [str(int(may_go))]) for broker, may_go in zip(brokers, long_idle, strict=True)
        ]
        replies = pipeline.run_all(self.store, scripts.WHAT_IS_LEFT, calls, "looking what is left of queues")
        return [reply if isinstance(reply, int) else IN_USE for reply in replies]
