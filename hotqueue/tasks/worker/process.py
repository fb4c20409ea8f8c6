"""Process: starts and ends the workers of one process.

A supervisor's child runs one; so does `queue.run_worker()`, in the caller's own process. What its workers share is in shared.py.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hotqueue.store.store import Store
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.worker.async_worker import AsyncWorker
from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.quarantine_worker import QuarantineWorker
from hotqueue.tasks.worker.queue_marks import QueueMarks
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.shared import LEASE_MS, Member, Shared
from hotqueue.tasks.worker.start_permits import StartPermits
from hotqueue.tasks.worker.sync_worker import SyncWorker
from hotqueue.tasks.worker.worker import Worker

if TYPE_CHECKING:
    from hotqueue.tasks.execution.repairs import Repairs

log = logging.getLogger("hotqueue.worker")

RELAYED = 1.0  # seconds for which a process that ends waits for what it has posted to be brought


class Process(Shared):
    """One worker process.

    1. `__init__` makes a worker for each thread; each has the permit pipe and the table of what runs of its number.
    2. `run` starts them, the first in the calling thread; one for `async def` tasks joins them once there are such tasks.
    3. Each works until told to stop (`stop_fetching`), and leaves.
    4. `run` waits for all of them, then ends the event loop.

    Args:
        registries: the queues to work at, tasks included; all tasks of all of them are known to each.
        threads: how many sync workers.
        pipes, tables: permit pipes and tables of what runs that a supervisor has made: one for each thread, and one for the
            async worker.
        left: called with the number of a queue that all workers have let go of, and that of the order to.
        announce: called with each worker that has registered, and its number, under whatever incarnation.
        marks: memory for marks that it shares with a supervisor.
        width: of a quarantine process: how many suspects run side by side; 0: this is an ordinary one.
        others: see `Shared`.
    """

    def __init__(
        self,
        registries: list[Registry],
        *,
        name: str = "",
        threads: int = 1,
        async_concurrency: int = 100,
        is_burst: bool = False,
        max_tasks: int | None = None,
        max_memory: int | None = None,
        lease_ms: int = LEASE_MS,
        pipes: list[tuple[int, int]] | None = None,
        tables: Sequence[Any] | None = None,
        announce: Callable[[Member, int], None] | None = None,
        notify: Callable[[str], None] = lambda _what: None,
        left: Callable[[int, int], None] = lambda _queue, _order: None,
        load_time: float = 0.0,
        last_wait: float | None = None,
        repairs: Repairs | None = None,
        weights: Mapping[str, int] | None = None,
        late_stores: Sequence[Store] = (),
        supervisor: str = "",
        width: int = 0,
        marks: QueueMarks | None = None,
    ) -> None:
        super().__init__(
            name=name,
            async_concurrency=async_concurrency,
            is_burst=is_burst,
            max_tasks=max_tasks,
            max_memory=max_memory,
            lease_ms=lease_ms,
            notify=notify,
            load_time=load_time,
            last_wait=last_wait,
            repairs=repairs,
            weights=weights or {},
            late_stores=late_stores,
            supervisor=supervisor,
        )
        self.registries = list(registries)
        self._leaving: dict[int, tuple[int, set[object]]] = {}  # queue that is let go of → the order, who has not done so yet
        self._has_begun = False
        self._width, self._thread_count, self._announce, self._left = width, threads, announce, left
        self._threads: list[threading.Thread] = []
        self._pipes, self._tables, self.marks = pipes, tables, marks or QueueMarks()
        self._async: AsyncWorker | None = None
        self._sync = [self._sync_worker(n) for n in range(threads)]
        self.workers += self._sync

    def _sync_worker(self, n: int) -> SyncWorker:
        if self._width:
            return QuarantineWorker(self, self.registries, self._permits(n), self._running(n, 1), self._width)
        return SyncWorker(self, self.registries, self._permits(n), self._running(n, 1))

    def _permits(self, n: int) -> StartPermits:
        return StartPermits(self._pipes[n]) if self._pipes else PermitsHere()

    def _running(self, n: int, rows: int) -> Running:
        return Running(self._tables[n] if self._tables else bytearray(Running.size(rows)), self.marks)

    def run(self) -> None:
        """Work until stopped, or until a burst is over; the first sync worker runs in the calling thread."""
        self.begin()
        self._has_begun = True
        if not self._width and any(task.is_async for registry in self.registries for task in registry.definitions.values()):
            self.start_async()
        for worker in self._sync[1:]:
            self._start_thread(worker)
        try:
            self._sync[0].run()
        finally:
            if not self.is_burst:
                self.stop_fetching()
            for thread in self._threads:
                thread.join()
            self.relaying.wait(RELAYED)
            self.relaying.end()
            self.settler.end()
            self.end_loop({registry.store.leave_loop for registry in self.registries})

    def leave_unbegun(self) -> None:
        """Leave nothing behind of a process that did not come to `run`."""
        for worker in self.workers:
            worker.presence.close()

    def _start_thread(self, worker: Worker) -> None:
        thread = threading.Thread(target=self._run_worker, args=(worker,), name=f"hotqueue-worker-{worker.kind}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run_worker(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException:
            # A worker that dies of a bug of ours must not leave a process that looks alive: end it, others take over.
            log.exception("a worker thread of process %d failed; the process stops", os.getpid())
            self.failed = True
            self.stop_fetching()

    def start_async(self) -> None:
        """Start the worker for `async def` tasks, if it does not run yet."""
        with self._lock:
            if self._async is not None or self.stop.is_set():
                return
            n = self._thread_count
            running = self._running(n, self.async_concurrency)
            self._async = AsyncWorker(self, self.registries, self._permits(n), running)
            self.workers.append(self._async)
        self._start_thread(self._async)
        self.wake_others(self._async)  # they leave its bells to it

    # --- queues that come and go ---------------------------------------------------------------------------------

    def adopt(self, number: int, registry: Registry) -> None:
        """Have all workers work at a queue more; see `Worker.begin_at`. For any thread."""
        with self._lock:
            self._leaving.pop(number, None)
            self.registries[number:] = [registry, *self.registries[number + 1 :]]
            for worker in self._all():
                worker.adopt(number, registry)
        if self._has_begun and any(task.is_async for task in registry.definitions.values()):
            self.start_async()

    def let_go(self, number: int, order: int) -> None:
        """Have all workers leave a queue; `left` is called once they have. For any thread."""
        with self._lock:
            self._leaving[number] = order, set(self._all())
            for worker in self._all():
                worker.let_go(number)

    def _all(self) -> list[Worker]:
        return [*self._sync, *([] if self._async is None else [self._async])]

    def left_queue(self, worker: object, queue: int) -> None:
        """Note that a worker has let go of a queue; say so once all have."""
        with self._lock:
            order, waited_for = self._leaving.get(queue, (0, {worker, None}))  # it was taken up again meanwhile
            waited_for.discard(worker)
            if waited_for:
                return
            del self._leaving[queue]
        self._left(queue, order)

    def announce(self, worker: Member) -> None:
        """Tell whoever supervises us under which incarnation a worker works."""
        if self._announce is not None:
            self._announce(worker, self.workers.index(worker))
