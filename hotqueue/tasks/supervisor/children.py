"""Child: one worker process as its supervisor sees it: its pipes, its workers, what it runs.

All of them together: processes.py.
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hotqueue.runtime.wake_pipe import readable
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker import child, orders
from hotqueue.tasks.worker.child import Pipes, Settings, Suspects
from hotqueue.tasks.worker.orders import Order
from hotqueue.tasks.worker.queue_marks import QueueMarks, new_marks
from hotqueue.tasks.worker.running_table import new_table, read_fates, read_progress, read_running
from hotqueue.tasks.worker.start_permits import StartPermits


@dataclass
class Slot:
    """One worker of a child."""

    worker: str
    folder: str
    kind: str
    permits: StartPermits
    table: mmap.mmap

    def running(self) -> list[tuple[str, float, float]]:
        """Return (id, started, hard deadline) of what it runs."""
        return read_running(self.table[:])

    def idle_for(self) -> float:
        """Return the seconds since it last made progress, 0 while it runs something."""
        return 0.0 if self.running() else max(0.0, time.monotonic() - read_progress(self.table[:]))


@dataclass(eq=False)
class Child:
    """One worker process.

    Attributes:
        queues: as it named them, in its order; then those that a glob found. One that it has left stays until another takes its
            place.
        left: the numbers of those that it has left.
        stores: where it works at queues that globs find, in its order.
        suspects: those that it was started for; None of a working process.
        is_ready: it has imported the modules, and waits for the word to begin.
        has_begun: it was given that word.
        is_stopping: it fetches nothing more, whoever decided that.
        ends_soon: it said that it will reach a limit before long.
        is_outdated: it is to be replaced (SIGHUP).
        is_followed: a process works in its place, or is about to.
        follows: the process that it is to take the place of, once it has registered.
        why_not: why it could not load the modules.
        leaves_by: when it has to have ended (monotonic), once all its workers have left and it does what is done at an exit.
        ended_for: (task id, why) once we have ended it: "time limit", "revoked", "shutdown" or "stuck".
    """

    pid: int
    control: int
    report: int
    permits: list[tuple[int, int]]
    tables: list[mmap.mmap]
    suspects: Suspects | None = None
    marks: mmap.mmap = field(default_factory=new_marks)
    born: float = field(default_factory=time.monotonic)
    slots: dict[int, Slot] = field(default_factory=dict)
    queues: list[Broker] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    stores: list[Store] = field(default_factory=list)
    inbox: bytes = b""
    _outbox: bytes = b""
    is_ready: bool = False
    has_begun: bool = False
    is_stopping: bool = False
    ends_soon: bool = False
    is_outdated: bool = False
    is_followed: bool = False
    follows: Child | None = None
    why_not: str = ""
    leaves_by: float | None = None
    ended_for: tuple[str, str] | None = None

    @property
    def is_spare(self) -> bool:
        """True while it loads the modules, or has done so and waits."""
        return not (self.has_begun or self.is_stopping or self.ended_for)

    @property
    def is_at_work(self) -> bool:
        """True while it fetches, or is about to."""
        return self.has_begun and not (self.is_stopping or self.ended_for or self.leaves_by is not None)

    def running(self) -> list[str]:
        """Return the ids of what it runs."""
        return [task_id for slot in self.slots.values() for task_id, _, _ in slot.running()]

    def marked(self) -> list[Broker]:
        """Return the queues of which it has fetched something since this was last asked."""
        return QueueMarks(self.marks).take(self.queues)

    def fates(self) -> dict[str, int]:
        """Return what becomes of each task that it runs, should it die; see `history.fate`."""
        return {task_id: fate for slot in self.slots.values() for task_id, fate in read_fates(slot.table[:]).items()}

    def not_left(self) -> list[Broker]:
        """Return the queues at which it works."""
        return [broker for number, broker in enumerate(self.queues) if number not in self.left]

    def begin(self) -> None:
        """Have it register its workers and work."""
        self.has_begun = True
        self.order(orders.GO)

    def stop(self) -> None:
        """Have it fetch nothing more and finish what it runs."""
        self.is_stopping = True
        self.order(orders.STOP)

    def give_up(self, worker: str, queue: Broker, asked: float) -> None:
        """If this is one of its workers, say that it was not registered at a queue when that was asked (monotonic)."""
        for number, slot in self.slots.items():
            if slot.worker == worker and queue in self.queues:
                self.order(orders.GiveUp(number, self.queues.index(queue), asked))

    def order(self, order: Order) -> None:
        """Tell it something, as soon as it has read what was said before: a task may keep it from that."""
        self._outbox += orders.packed(order)
        self.flush()

    def flush(self) -> None:
        """Write what it has not been told yet, as far as the pipe takes it."""
        try:
            while self._outbox:
                self._outbox = self._outbox[os.write(self.control, self._outbox[:4096]) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it is dead already
            self._outbox = b""

    def end(self, task_id: str, why: str) -> None:
        """Kill it, once, and note why."""
        if self.ended_for is None:
            self.ended_for = (task_id, why)
            os.kill(self.pid, signal.SIGKILL)

    def reports(self) -> Iterator[dict[str, Any]]:
        """Read what it has to say."""
        data = os.read(self.report, 65536)
        if not data:
            time.sleep(0.001)  # it is about to be collected; do not spin until the kernel says so
        self.inbox += data
        while len(self.inbox) >= 4:
            size = int.from_bytes(self.inbox[:4], "big")
            if len(self.inbox) < 4 + size:
                return
            report: dict[str, Any] = payload.loads(self.inbox[4 : 4 + size])
            self.inbox = self.inbox[4 + size :]
            yield report

    def last_words(self) -> Iterator[dict[str, Any]]:
        """Read what it said before it died and nobody has read yet."""
        while readable([self.report], 0):
            before = self.inbox
            yield from self.reports()
            if self.inbox == before:
                return

    def note_worker(self, slot: int, worker: str, folder: str, sort: str) -> None:
        """Note under which incarnation one of its workers works."""
        old = self.slots.get(slot)
        permits = old.permits if old else StartPermits(self.permits[slot])
        self.slots[slot] = Slot(worker, folder, sort, permits, self.tables[slot])

    def close(self) -> None:
        """Close our ends."""
        for fd in (self.control, self.report, *(fd for pipe in self.permits for fd in pipe)):
            os.close(fd)
        for memory in (*self.tables, self.marks):
            memory.close()


def spawn(settings: Settings, others: list[Child], ours: tuple[int, ...]) -> Child:
    """Fork a child.

    Args:
        others: whose pipe ends it must not keep: an order to die is an end that nobody holds any more.
        ours: further descriptors that are the supervisor's alone.

    Raises:
        OSError: no pipe, or no process, can be had; nothing was left open.
    """
    pipes: list[tuple[int, int]] = []
    try:
        for _ in range(2 + settings.threads + 1):
            pipes.append(os.pipe())  # noqa: PERF401  (closed when the next one cannot be had)
        tables = [*(new_table(1) for _ in range(settings.threads)), new_table(settings.async_concurrency)]
        return _spawn(settings, others, ours, pipes, tables)
    except OSError:
        for fd in (end for pipe in pipes for end in pipe):
            os.close(fd)
        raise


def _spawn(
    settings: Settings,
    others: list[Child],
    ours: tuple[int, ...],
    pipes: list[tuple[int, int]],
    tables: list[mmap.mmap],
) -> Child:
    (control_read, control_write), (report_read, report_write), *permits = pipes

    def close() -> None:
        for fd in (control_write, report_read, *ours):
            os.close(fd)
        for other in others:
            other.close()

    marks = new_marks()
    pid = child.fork(settings, Pipes(control_read, report_write, permits, tables, marks), close)
    os.close(control_read)
    os.close(report_write)
    os.set_blocking(control_write, False)
    return Child(pid, control_write, report_read, permits, tables, settings.suspects, marks)
