"""Reporter: what a process says to its supervisor; what follows from that is for supervisor/child_reports.py."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from hotqueue.store.store import Store
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.client.schedules import Schedules
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker.shared import Member

EXIT_CRASH = 1


class Reporter:
    """Says things to the supervisor: a length, then a dict."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def __call__(self, **facts: Any) -> None:
        data = payload.dumps(facts)
        try:
            with self._lock:
                message = len(data).to_bytes(4, "big") + data
                while message:  # a signal may cut a long one short
                    message = message[os.write(self._fd, message) :]
        except BrokenPipeError:  # the supervisor died before we asked the kernel to end us with it
            os._exit(EXIT_CRASH)

    def hello(self, registries: list[Registry], tasks: Iterable[str], late: list[Store]) -> None:
        """Say which queues and tasks there are, and where, so that the supervisor need not import them.

        Args:
            tasks: those that the modules define.
            late: where globs find more queues.
        """
        queues = [(registry.name, registry.store) for registry in registries]
        known = sorted({*tasks, *(name for registry in registries for name in registry.tasks)})
        keys = [registry.secret_key for registry in registries]  # to the parent, through a pipe, and nowhere else
        declared = payload.dumps({n: Schedules(registry).declared() for n, registry in enumerate(registries)})
        stored = {"queues": payload.dumps(queues), "late": payload.dumps(late), "declared": declared}
        self(kind="hello", tasks=known, keys=keys, **stored)

    def left(self, queue: int, order: int) -> None:
        """Say that a queue was let go of, as an order said."""
        self(kind="left", queue=queue, order=order)

    def worker(self, worker: Member, slot: int) -> None:
        """Say under which incarnation a worker works."""
        here = worker.presence
        self(kind="worker", slot=slot, worker=here.id, folder=here.folder, trouble=here.trouble, sort=worker.kind)
