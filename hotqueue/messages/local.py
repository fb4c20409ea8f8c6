"""What a queue object keeps in one process: its leases, idle connections, and what it saw of other consumers."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from hotqueue import keys
from hotqueue.messages.calls import drive, send
from hotqueue.messages.consumer import FULL_PAUSE, LEASE, PACKAGE, SLICE, Loop, Sweep, log
from hotqueue.runtime.ending import start_thread
from hotqueue.store import scripts
from hotqueue.store.store import Store

if TYPE_CHECKING:
    from hotqueue.store.blocking import Blocking

RENEWAL = 30.0  # seconds between two renewals of the leases


class Local:
    """What a queue object keeps in one process; a forked child makes its own."""

    def __init__(self, name: str, store: Store) -> None:
        self.pid = os.getpid()
        self.name = name
        self.store = store
        self.sweep = Sweep(name)
        self.leases = Leases(name, store)
        self.marks: list[Any] = []  # of asyncio gets
        self._idle: list[Blocking] = []

    def patience(self, block: bool, limit: float | None) -> float | None:
        """Return the seconds of an outage after which a loop with these options gives up; None never does."""
        usual = self.store.patience
        return None if usual is None or (block and limit is None) else max(usual, limit or 0)

    def run_sweep(self) -> int:
        """Give back what dead consumers hold; return how many messages that was."""
        return int(drive(self.sweep.steps(), lambda call: self.store.repeat(lambda: send(self.store, call))))

    @contextlib.contextmanager
    def blocking(self) -> Generator[Blocking, None, None]:
        """Lend a connection for blocking commands of at most SLICE seconds."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.store.blocking(keys.queue(self.name), SLICE)
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Drop the idle connections."""
        while self._idle:
            self._idle.pop().close()


class Leases:
    """A daemon thread that renews the leases of this process's consumers, as long as there are any."""

    def __init__(self, name: str, store: Store) -> None:
        self._name, self._store = name, store
        self._lock = threading.Lock()
        self._loops: set[Loop] = set()
        self._thread: threading.Thread | None = None

    def add(self, loop: Loop) -> None:
        """Renew the lease of this loop's consumer from now on."""
        with self._lock:
            self._loops.add(loop)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"hotqueue leases of {self._name}", daemon=True)
                self._thread = (
                    thread if start_thread(thread) else None
                )  # without: it lives for one lease, here for as long as its presence

    def drop(self, loop: Loop) -> None:
        """Stop renewing; the thread ends at its next round when no loop is left."""
        with self._lock:
            self._loops.discard(loop)

    def _run(self) -> None:
        pause = RENEWAL
        while True:
            time.sleep(pause)
            with self._lock:
                if not self._loops:
                    self._thread = None
                    return
                consumers = sorted(loop.consumer.id for loop in self._loops)
            try:
                self.renew(consumers)
                pause = RENEWAL
            except Exception as error:  # whatever it is: this thread must not die while a consumer lives
                log.debug("renewing leases: %s", error)
                pause = FULL_PAUSE

    def renew(self, consumers: list[str]) -> None:
        """Renew these leases now."""
        found = [keys.consumers(self._name), *(keys.consumer(self._name, each) for each in consumers)]
        args = [int(LEASE * 1000), *consumers]
        self._store.run(scripts.load(PACKAGE, "renew"), found, args, "renewing leases")
