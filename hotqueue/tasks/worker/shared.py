"""Shared: what the workers of one process share: when to stop, the event loop, counts, limits.

Starts no worker.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from hotqueue.plurals import plural
from hotqueue.presence import Presence
from hotqueue.runtime.memory import resident_bytes
from hotqueue.store.store import Store
from hotqueue.tasks.execution.clean_context import CleanContext
from hotqueue.tasks.execution.executor import Call
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.rules.lifecycle import Outcome
from hotqueue.tasks.worker.outages import Outages
from hotqueue.tasks.worker.relaying import Relaying
from hotqueue.tasks.worker.running_table import Running
from hotqueue.tasks.worker.settler import Settler
from hotqueue.tasks.worker.start_permits import StartPermits

if TYPE_CHECKING:
    from hotqueue.tasks.execution.repairs import Repairs

log = logging.getLogger("hotqueue.worker")

LEASE_MS = 15_000
ENDS_SOON, FINISHING = "ends_soon", "finishing"  # what `notify` is called with
AHEAD = 3  # a replacement is asked for when what is left would take less than so many times as long as loading it
NEARLY = 7 / 8  # of --max-memory: from there on, too
_DONE = {  # what the log says of what became of tasks
    "bury": "failed",
    "end": "revoked or expired",
    "forget": "without a result",
    "park": "parked",
    "put_back": "put back",
    "retry": "to be retried",
}


class Member(Protocol):
    """A worker, as those that share a process with it know it; see `Worker`."""

    kind: str
    presence: Presence
    permits: StartPermits
    running: Running
    has_left: bool

    @property
    def is_idle(self) -> bool: ...

    def wake(self) -> None: ...

    def was_given_up(self, queue: int, asked: float) -> None: ...


class Shared:
    """What the workers of one process share.

    Args:
        name: of the process, for people.
        async_concurrency: `async def` tasks at a time.
        is_burst: end when nothing is left to do.
        max_tasks: begin no more than so many tasks, and end.
        max_memory: end, between tasks, once the process takes so many bytes.
        notify: called with `ENDS_SOON`, once, when this process will reach a limit before long; with `FINISHING` when it has
            stopped of itself and a worker of it has nothing more to do, though others may have.
        load_time: seconds that it takes to load such a process.
        last_wait: seconds that a worker told to stop waits for Redis, to settle what it did; None: as long as it is let.
        repairs: mends what a task left behind, in a process of ours.
        weights: queue → how many turns it has to one of another.
        late_stores: where there may be queues later that are not there yet.
        supervisor: the incarnation of the supervisor whose child this is; "" where there is none.

    Attributes:
        workers: all that were started.
        facts: what each worker announces of its process.
        context: what tasks begin with.
        stop, hurry: fetch nothing more; do not even wait for Redis to come back.
        interrupts: how often somebody pressed Ctrl-C.
        outages: of servers, as far as they have been said.
        settler, relaying: settle what waits behind a long task; bring what tasks have posted for other queues.
        done: what became of tasks → how many.
        runs_suspects, runs_alone: True where no supervisor has a process for them; who runs one, while no other fetches anything.
        failed, reached_limit: why it stopped of itself: something broke; --max-tasks or --max-memory.
    """

    failed = reached_limit = False
    runs_alone: object | None = None

    def __init__(
        self,
        *,
        name: str,
        async_concurrency: int,
        is_burst: bool,
        max_tasks: int | None,
        max_memory: int | None,
        lease_ms: int,
        notify: Callable[[str], None],
        load_time: float,
        last_wait: float | None,
        repairs: Repairs | None,
        weights: Mapping[str, int],
        supervisor: str,
        late_stores: Sequence[Store],
    ) -> None:
        self.workers: list[Member] = []
        self.async_concurrency = async_concurrency
        self.is_burst = is_burst
        self.weights = weights
        self.late_stores = late_stores
        self.lease_ms = lease_ms
        self.stop = threading.Event()
        self.hurry = threading.Event()
        self.interrupts = 0
        self.outages = Outages()
        self.settler, self.relaying = Settler(), Relaying(is_burst)
        self.done: Counter[str] = Counter()
        self.facts = {
            "name": name,
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "supervisor": supervisor,
        }
        self.runs_suspects = not supervisor
        self.repairs = repairs
        self.context = CleanContext()  # the modules have been imported, and no task has run
        self._last_wait, self._stopped_at = last_wait, 0.0
        self._max_tasks, self._max_memory = max_tasks, max_memory
        self._begun, self._first_began = 0, 0.0
        self._notify, self._notified = notify, set[str]()
        self._load_time = load_time
        self._loop: EventLoop | None = None
        self._lock = threading.Lock()
        self._summary = (time.monotonic(), 0)

    def start_async(self) -> None:
        """Start the worker for `async def` tasks, if it does not run yet."""
        raise NotImplementedError

    def announce(self, worker: Member) -> None:
        """Tell whoever supervises us under which incarnation a worker works."""
        raise NotImplementedError

    def left_queue(self, worker: object, queue: int) -> None:
        """Note that a worker has let go of one of its queues."""

    # --- stopping ------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """True while no worker has anything in hand."""
        return all(worker.is_idle for worker in self.workers)

    def has_left(self, kind: str) -> bool:
        """Tell whether no worker of a kind works any more."""
        return all(worker.has_left for worker in list(self.workers) if worker.kind == kind)

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

    def wake_others(self, waker: object) -> None:
        """Have the other workers look for tasks."""
        for worker in list(self.workers):
            if worker is not waker:
                worker.wake()

    # --- running tasks -------------------------------------------------------------------------------------------

    def event_loop(self) -> EventLoop:
        """Return the process's event loop, started if need be."""
        with self._lock:
            if self._loop is None:
                self._loop = EventLoop(self.context.fresh, self._end_if_broken)
            return self._loop

    def end_loop(self, before: Collection[Callable[[], Any]]) -> None:
        """End the event loop, if there is one; see `EventLoop.stop`."""
        if self._loop is not None:
            self._loop.stop(before)

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

    def _end_if_broken(self, culprits: Callable[[], str]) -> None:
        """End this process at once if its descriptors are gone, the event loop's among them: what runs there runs again."""
        if self.repairs is not None and not self.repairs.are_files_whole():
            log.error("%s closed file descriptors of its worker process; process %d is replaced", culprits(), os.getpid())
            os._exit(1)

    def run_in_loop(self, call: Call, context: Context, limit: float | None) -> Outcome:
        """Run a call on the event loop and wait for it; see `EventLoop.run`."""
        return self.event_loop().run(call, context, limit)

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
            log.info("%s in %.1f s; so far %s", plural(total - before, "task"), now - began, parts)

    # --- the limits of this process --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Note that the process begins to work."""
        self._first_began = time.monotonic()
        if self._max_tasks == 1:
            self._notify_once(ENDS_SOON)

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
            self._reach_limit(f"has begun the last of its {plural(self._max_tasks, 'task')} (--max-tasks)")
        elif left == 1 or left * self._seconds_a_task() < AHEAD * self._load_time:
            self._notify_once(ENDS_SOON)
        return True

    def room(self, room: int) -> int:
        """Return how many tasks may be fetched: not more than may begin here."""
        return room if self._max_tasks is None else max(1, min(room, self._max_tasks - self._begun))

    def _seconds_a_task(self) -> float:
        return (time.monotonic() - self._first_began) / self._begun

    def check_limits(self) -> bool:
        """Stop fetching once this process takes too much memory; tell whether it does not fetch any more."""
        if self.reached_limit:
            self._stopped_at = time.monotonic()  # what ended just now is unsettled: there is as much time for that as ever
        elif self._max_memory is not None and not self.stop.is_set():
            taken = resident_bytes()
            if taken > self._max_memory:
                self._reach_limit(f"ends, it takes {taken >> 20} MB (--max-memory)")
            elif taken > self._max_memory * NEARLY:
                self._notify_once(ENDS_SOON)
        return self.stop.is_set()

    def _reach_limit(self, why: str) -> None:
        if not self.stop.is_set():
            log.info("process %d %s", os.getpid(), why)
        self.reached_limit = True
        self.stop_fetching()

    def note_left(self) -> None:
        """Note that a worker has nothing more to do; if we stopped of ourselves, others may do more than we."""
        if self.reached_limit or self.failed:
            self._notify_once(FINISHING)

    def _notify_once(self, what: str) -> None:
        if what not in self._notified:
            self._notified.add(what)
            self._notify(what)
