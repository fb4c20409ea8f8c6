"""What is open inside `queue.testing()`: all queues of this process, each with what it holds in memory."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from hotqueue.runtime.testing_mode import Kept
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.testing.broker import MemoryBroker
from hotqueue.tasks.testing.replies import MemoryReplies
from hotqueue.tasks.testing.runner import Runner
from hotqueue.tasks.testing.storage import Storage

K = TypeVar("K", bound=Kept)


class Sandbox:
    """All queues of this process while `queue.testing()` is open.

    Attributes:
        originals: id → definition of a task whose code goes by value: the code that is here is run, not a copy.
    """

    def __init__(self) -> None:
        self.originals: dict[str, Definition] = {}
        self._runner = Runner()
        self._storages: dict[tuple[str, str], Storage] = {}
        self._kept: dict[tuple[str, str, type], Any] = {}
        self._lock = threading.RLock()

    def broker_of(self, registry: Registry, name: str) -> MemoryBroker:
        """Return the tasks of a queue."""
        return MemoryBroker(self._storage(registry, name), registry, self._runner, self.originals)

    def replies_of(self, registry: Registry, name: str) -> MemoryReplies:
        """Return where results of a queue are waited for."""
        return MemoryReplies(self._storage(registry, name), self._runner)

    def kept(self, make: type[K], store: object, name: str) -> K:
        """Return what a queue keeps of this type, made when it is first asked for: the list of its raw messages."""
        with self._lock:
            found = self._kept.get((str(store), name, make))
            if found is None:
                found = self._kept[str(store), name, make] = make()
        return found  # what is kept under a type is of it

    def _storage(self, registry: Registry, name: str) -> Storage:
        with self._lock:
            return self._storages.setdefault((str(registry.store), name), Storage(name))

    def close(self) -> None:
        """Revoke what waits or runs, so that nobody waits for it, and end the loop."""
        self._runner.refuse()
        with self._lock:
            left = [(storage, entry) for storage in self._storages.values() for entry in list(storage.unfinished.values())]
        for storage, entry in left:
            self._runner.revoke(storage, entry, "had not ended when queue.testing() was left")
        self._runner.stop()

    def after_fork(self) -> None:
        """In a forked process: the threads that hold locks are the parent's."""
        self._lock = threading.RLock()
        self._runner.after_fork()
        for storage in self._storages.values():
            storage.lock = threading.RLock()
        for kept in self._kept.values():
            kept.after_fork()
