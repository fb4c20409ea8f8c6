"""QueueMaking: queues that no module defines, and a worker is to work at all the same: named by `-Q`, or found by a glob.

They know all tasks of the modules, as those do that are defined.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hotqueue.store.store import Store
from hotqueue.tasks.client.client import Owner
from hotqueue.tasks.client.name_clashes import are_two
from hotqueue.tasks.client.registry import Registry, registry_of
from hotqueue.tasks.client.task import Task

log = logging.getLogger("hotqueue.worker")


class QueueMaking:
    """What a worker makes queues of.

    Args:
        make_queue: HotQueue.
        store: where all queues live, if not where the modules say.

    Attributes:
        stores: where a glob finds queues: wherever the modules have some.
    """

    def __init__(self, make_queue: Callable[..., Owner], store: Store | None = None, secret_key: str | None = None) -> None:
        self.store = store
        self._make_queue, self._secret_key = make_queue, secret_key
        self._some: Registry | None = None
        self._tasks: dict[str, Task[..., Any]] = {}
        self._unclear: set[str] = set()
        self.stores: list[Store] = []

    def know(self, defined: Sequence[Registry]) -> None:
        """Take in what the modules define."""
        self._some = defined[0] if defined else None
        self._tasks, self._unclear = _of_all(defined)

    def find_stores(self, chosen: Iterable[Registry], defined: Iterable[Registry]) -> None:
        """Note where globs find queues, the same objects as those of the queues that were chosen."""
        there = [registry.store for registry in (*chosen, *defined)] or [self.make("hotqueue").store]
        for store in there:
            if all(store.address != other.address for other in self.stores):
                self.stores.append(store)

    def make(self, name: str, there: Store | None = None) -> Registry:
        """Return a queue that no module defines: where it is said to be, or the ones are that are defined, or the default."""
        secret_key = self._some.secret_key if self._some else self._secret_key
        made = registry_of(self._make_queue(name, secret_key=secret_key))
        there = there or self.store or (self._some.store if self._some else None)
        if there is not None:
            made.move(there)
        return made

    def tasks(self) -> set[str]:
        """Return the names of the tasks that the modules define."""
        return self._tasks.keys() | self._unclear

    def complete(self, registry: Registry) -> Registry:
        """Have a queue know all tasks."""
        if missed := sorted(self._unclear - registry.tasks.keys()):
            log.warning("queue %r runs no task %s: several queues have one of this name", registry.name, ", ".join(missed))
        for name in self._tasks.keys() - registry.tasks.keys():
            registry.add(self._tasks[name])
        return registry


def _of_all(registries: Iterable[Registry]) -> tuple[dict[str, Task[..., Any]], set[str]]:
    """Return the tasks of all queues, for those that do not define them, and the names under which there are several."""
    found: dict[str, Task[..., Any]] = {}
    unclear = set()
    for registry in registries:
        for name, task in registry.tasks.items():
            if are_two(found.setdefault(name, task).__wrapped__, task.__wrapped__):
                unclear.add(name)
    return {name: task for name, task in found.items() if name not in unclear}, unclear
