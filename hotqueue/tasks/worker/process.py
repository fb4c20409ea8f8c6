"""One worker process: its workers, its event loop, and when it stops. The supervisor's children run one; so does
`queue.run_worker()`, in the caller's own process."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any

from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.context import CleanContext
from hotqueue.tasks.execution.executor import Call
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.rules.lifecycle import Outcome
from hotqueue.tasks.worker.async_worker import AsyncWorker
from hotqueue.tasks.worker.outages import Outages
from hotqueue.tasks.worker.permits import Permits
from hotqueue.tasks.worker.quarantine_worker import QuarantineWorker
from hotqueue.tasks.worker.running import Running
from hotqueue.tasks.worker.settler import Settler
from hotqueue.tasks.worker.sync_worker import SyncWorker
from hotqueue.tasks.worker.worker import Worker

if TYPE_CHECKING:
    from hotqueue.tasks.execution.repairs import Repairs

log = logging.getLogger("hotqueue.worker")

LEASE_MS = 15_000
ENDS_SOON, FINISHING = "ends_soon", "finishing"  # what `notify` is called with
AHEAD = 3  # an heir is asked for when what is left would take less than so many times as long as loading it
NEARLY = 7 / 8  # of --max-memory: from there on, too
_DONE = {  # what the log says of what became of tasks
    "bury": "failed",
    "end": "revoked or expired",
    "forget": "without a result",
    "park": "parked",
    "put_back": "put back",
    "retry": "to be retried",
}


class Process:
    """What the workers of one process share.

    Args:
        registries: the queues to work at, tasks included; all tasks of all of them are known to each.
        threads: how many sync workers.
        async_concurrency: `async def` tasks at a time.
        is_burst: end when nothing is left to do.
        max_tasks: begin no more than so many tasks, and end.
        max_memory: end, between tasks, once the process takes so many bytes.
        pipes, tables: permit pipes and tables of what runs that a supervisor has made: one for each thread, and one for the
            async worker.
        announce: called with each worker that has registered, under whatever incarnation.
        notify: called with `ENDS_SOON`, once, when this process will have had enough before long; with `FINISHING` when it has
            stopped of itself and a worker of it has nothing more to do, though others may have.
        load_time: seconds that it takes to load such a process.
        repairs: mends what a task left behind, in a process of ours.
        weights: queue → how many turns it has to one of another.
        supervisor: the incarnation of the supervisor whose child this is; "" where there is none.
        width: of a quarantine process: how many suspects run side by side; 0: this is an ordinary one.
        last_wait: seconds that a worker told to stop waits for Redis, to settle what it did; None: as long as it is let.

    Attributes:
        context: what tasks begin with.
        stop: fetch nothing more.
        hurry: do not even wait for Redis to come back.
        interrupts: how often somebody pressed Ctrl-C.
        outages: of servers, as far as they have been said.
        runs_suspects: True where no supervisor is there to start a quarantine process.
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
        announce: Callable[[Worker, int], None] | None = None,
        notify: Callable[[str], None] = lambda _what: None,
        load_time: float = 0.0,
        last_wait: float | None = None,
        repairs: Repairs | None = None,
        weights: Mapping[str, int] | None = None,
        supervisor: str = "",
        width: int = 0,
    ) -> None:
        self.registries = registries
        self.async_concurrency = async_concurrency
        self.is_burst = is_burst
        self.weights = weights or {}
        self.lease_ms = lease_ms
        self.stop = threading.Event()
        self.hurry = threading.Event()
        self.interrupts = 0
        self.outages = Outages()
        self._last_wait = last_wait
        self._stopped_at = 0.0
        self.done: Counter[str] = Counter()
        self.facts = {
            "name": name,
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "supervisor": supervisor,
        }
        self.runs_suspects = not supervisor
        self._width = width
        self.repairs = repairs
        self.context = CleanContext()  # the modules have been imported, and no task has run
        self._max_tasks, self._max_memory = max_tasks, max_memory
        self._begun = 0
        self._first_began = 0.0
        self._notify, self._notified = notify, set[str]()
        self._load_time = load_time
        self._announce = announce
        self._loop: EventLoop | None = None
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._summary = (time.monotonic(), 0)
        self._pipes, self._tables = pipes, tables
        sync = [self._sync_worker(n) for n in range(threads)]
        self.workers: list[Worker] = list(sync)
        self.settler = Settler([worker.settle_behind for worker in sync])
        self._async: AsyncWorker | None = None
        self._thread_count = threads

    def _sync_worker(self, n: int) -> SyncWorker:
        if self._width:
            return QuarantineWorker(self, self.registries, self._permits(n), self._running(n, 1), self._width)
        return SyncWorker(self, self.registries, self._permits(n), self._running(n, 1))

    def _permits(self, n: int) -> Permits:
        return Permits(self._pipes[n] if self._pipes else None)

    def _running(self, n: int, rows: int) -> Running:
        return Running(self._tables[n] if self._tables else bytearray(Running.size(rows)))

    def run(self) -> None:
        """Work until stopped, or until a burst is over; the first sync worker runs in the calling thread."""
        self._first_began = time.monotonic()
        if self._max_tasks == 1:
            self._notify_once(ENDS_SOON)
        if not self._width and any(task.is_async for registry in self.registries for task in registry.tasks.values()):
            self.start_async()
        for worker in self.workers[1 : self._thread_count]:
            self._start_thread(worker)
        try:
            self.workers[0].run()
        finally:
            if not self.is_burst:
                self.stop_fetching()
            for thread in self._threads:
                thread.join()
            if self._loop is not None:
                self._loop.stop({registry.store.leave_loop for registry in self.registries})

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

    failed = False
    had_enough = False

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

    def event_loop(self) -> EventLoop:
        """Return the process's event loop, started if need be."""
        with self._lock:
            if self._loop is None:
                self._loop = EventLoop(self.context.fresh, self._end_if_broken)
            return self._loop

    def mend(self, last: str) -> None:
        """Put right between tasks what they left behind; where that cannot be, settle what is done and leave.

        Args:
            last: the task that ran last.
        """
        if self.repairs is not None and not self.repairs.between_tasks() and not self.stop.is_set():
            self.repairs.fill_holes()
            log.error("%s closed file descriptors of its worker process; process %d is replaced", last or "a task", os.getpid())
            self.failed = True
            self.stop_fetching()

    def _end_if_broken(self, name: str) -> None:
        """End this process at once if its descriptors are gone, the event loop's among them: what runs there runs again."""
        if self.repairs is not None and not self.repairs.are_files_whole():
            log.error("%s closed file descriptors of its worker process; process %d is replaced", name, os.getpid())
            os._exit(1)

    def run_in_loop(self, call: Call, context: Context, limit: float | None) -> Outcome:
        """Run a call on the event loop and wait for it; see `EventLoop.run`."""
        return self.event_loop().run(call, context, limit)

    @property
    def is_idle(self) -> bool:
        """True while no worker has anything in hand."""
        return all(worker.is_idle for worker in self.workers)

    def has_left(self, kind: str) -> bool:
        """Tell whether no worker of a kind works any more."""
        return all(worker.has_left for worker in list(self.workers) if worker.kind == kind)

    def announce(self, worker: Worker) -> None:
        """Tell whoever supervises us under which incarnation a worker works."""
        if self._announce is not None:
            self._announce(worker, self.workers.index(worker))

    def stop_fetching(self) -> None:
        """Have every worker finish what it runs and leave."""
        if not self.stop.is_set():
            self._stopped_at = time.monotonic()
        self.stop.set()
        for worker in list(self.workers):
            worker.wake()

    @property
    def may_wait(self) -> bool:
        """True while a worker that has something to settle may wait for Redis, though it was told to stop."""
        waited = time.monotonic() - self._stopped_at
        return not self.hurry.is_set() and (self._last_wait is None or waited < self._last_wait)

    def wake_others(self, waker: Worker) -> None:
        """Have the other workers look for tasks."""
        for worker in list(self.workers):
            if worker is not waker:
                worker.wake()

    # --- counting ------------------------------------------------------------------------------------------------

    def count(self, what: str) -> None:
        """Count one more; say what was done, once a busy second."""
        self.done[what] += 1
        began, before = self._summary
        now = time.monotonic()
        if now - began < 1:
            return
        total = self.done.total()
        self._summary = (now, total)  # before the line is written: other threads count meanwhile
        if now - began < 2 and log.isEnabledFor(logging.INFO):  # after a quiet time the next second has to show itself busy
            parts = ", ".join(f"{number} {_DONE.get(name, name)}" for name, number in sorted(self.done.items()))
            count = total - before
            log.info("%d task%s in %.1f s; so far %s", count, "s"[: count != 1], now - began, parts)

    # --- having had enough ---------------------------------------------------------------------------------------

    def may_begin(self) -> bool:
        """Count a task that is about to begin; False when this process has begun as many as it may."""
        if self._max_tasks is None:
            return True
        with self._lock:
            if self._begun >= self._max_tasks:
                return False
            self._begun += 1
            left = self._max_tasks - self._begun
        if left == 0:
            self._have_enough(f"has begun the last of its {self._max_tasks} tasks (--max-tasks)")
        elif left == 1 or left * self._seconds_a_task() < AHEAD * self._load_time:
            self._notify_once(ENDS_SOON)
        return True

    def room(self, room: int) -> int:
        """Return how many tasks may be fetched: not more than may begin here."""
        return room if self._max_tasks is None else max(1, min(room, self._max_tasks - self._begun))

    def _seconds_a_task(self) -> float:
        return (time.monotonic() - self._first_began) / self._begun

    def has_enough(self) -> bool:
        """Stop fetching once this process takes too much memory; tell whether it does not fetch any more."""
        if self.had_enough:
            self._stopped_at = time.monotonic()  # what ended just now is unsettled: there is as much time for that as ever
        elif self._max_memory is not None and not self.stop.is_set():
            taken = resident_bytes()
            if taken > self._max_memory:
                self._have_enough(f"ends, it takes {taken >> 20} MB (--max-memory)")
            elif taken > self._max_memory * NEARLY:
                self._notify_once(ENDS_SOON)
        return self.stop.is_set()

    def _have_enough(self, why: str) -> None:
        if not self.stop.is_set():
            log.info("process %d %s", os.getpid(), why)
        self.had_enough = True
        self.stop_fetching()

    def note_left(self) -> None:
        """Note that a worker has nothing more to do; if we stopped of ourselves, others may do more than we."""
        if self.had_enough or self.failed:
            self._notify_once(FINISHING)

    def _notify_once(self, what: str) -> None:
        if what not in self._notified:
            self._notified.add(what)
            self._notify(what)


def resident_bytes() -> int:
    """Return the memory this process takes now."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
