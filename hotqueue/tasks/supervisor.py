"""The parent of the worker processes: signals, leases, deaths, limits. Imports no user code and runs none.

So no GIL, event loop or leak of a task can stop a lease from being renewed. One thread, one loop: handlers of signals only
note them.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hotqueue import presence
from hotqueue.connection import Store
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.tasks import attempts, child, payload
from hotqueue.tasks.broker import Broker
from hotqueue.tasks.child import Pipes, Settings
from hotqueue.tasks.maintenance import Upkeep
from hotqueue.tasks.permits import Permits, read_running

log = logging.getLogger("hotqueue.worker")

TICK = 0.1  # seconds between two looks at what the children run
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)
QUICK = 1.0  # seconds; a child that dies younger than this is replaced more and more slowly


@dataclass
class Slot:
    """One worker of a child, as its supervisor sees it."""

    worker: str
    folder: str
    kind: str
    permits: Permits
    state: mmap.mmap | None

    def running(self) -> list[tuple[str, float, float]]:
        """Return (id, started, hard deadline) of what it runs."""
        return [] if self.state is None else read_running(self.state[:])


@dataclass(eq=False)
class Child:
    """One worker process."""

    pid: int
    control: int
    report: int
    permits: list[tuple[int, int]]
    born: float = field(default_factory=time.monotonic)
    slots: dict[int, Slot] = field(default_factory=dict)
    inbox: bytes = b""
    is_ready: bool = False
    is_stopping: bool = False
    ended_for: tuple[str, str] | None = None  # (task id, "time limit" or "revoked" or "shutdown")

    def close(self) -> None:
        """Close our ends."""
        for fd in (self.control, self.report, *(fd for pipe in self.permits for fd in pipe)):
            os.close(fd)
        for slot in self.slots.values():
            if slot.state is not None:
                slot.state.close()


class Supervisor:
    """Keeps worker processes going.

    Args:
        on_ready: called once with the queues and tasks that the first child found.
        on_failed: called with the text of why the modules cannot be loaded.
    """

    def __init__(
        self,
        settings: Settings,
        on_ready: Callable[[list[tuple[str, Store]], list[str]], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._tell_ready, self._tell_failure = on_ready, on_failed
        self._wanted = settings.processes
        self._children: list[Child] = []
        self._brokers: list[Broker] = []
        self._upkeep: Upkeep | None = None
        self._noted: list[int] = []
        self._stop_at: float | None = None
        self._exit: int | None = None
        self._owed: list[Callable[[], None]] = []
        self._quick_deaths = 0
        self._spawn_at = 0.0

    def run(self) -> int:
        """Work until told to stop, or until a burst is over; return the exit code."""
        self._listen_to_signals()
        self._spawn()
        while True:
            self._select()
            self._answer_signals()
            self._collect_dead()
            self._look_after()
            if self._exit is not None and not self._children:
                self._pay(patience=5.0)
                return self._exit
            self._replenish()

    def scheduled(self) -> int:
        """Return how many tasks of the queues wait for their time."""
        return sum(broker.counts()["scheduled"] for broker in self._brokers)

    # --- signals -------------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda number, _frame: self._noted.append(number))

    def _answer_signals(self) -> None:
        while self._noted:
            number = self._noted.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(signal.Signals(number).name)
            elif number == signal.SIGHUP:
                log.info("SIGHUP: replacing %d processes", len(self._children))
                self._stop_children()
            elif number == signal.SIGUSR1:
                for each in self._children:
                    os.kill(each.pid, signal.SIGUSR1)
            elif number == signal.SIGTTIN:
                self._wanted += 1
            elif number == signal.SIGTTOU and self._wanted > 1:
                self._wanted -= 1
                self._stop_child(self._children[-1])

    def _stop(self, why: str) -> None:
        if self._stop_at is None:
            log.info("%s: finishing what runs, for %g s at most; once more to stop at once", why, self._settings.grace)
            self._exit = 0
            self._stop_at = time.monotonic() + self._settings.grace
            self._stop_children()
        else:
            self._stop_at = 0.0

    def _stop_children(self) -> None:
        for each in self._children:
            self._stop_child(each)

    def _stop_child(self, each: Child) -> None:
        """Have a child finish what it runs; what it has not started goes back at once."""
        each.is_stopping = True
        try:
            os.write(each.control, child.STOP)
        except BrokenPipeError:
            return  # it is dead already
        for slot in each.slots.values():
            for number, count in slot.permits.drain().items():
                self._owe(lambda slot=slot, number=number, count=count: self._put_back(slot, number, count))  # type: ignore[misc]

    def _put_back(self, slot: Slot, number: int, count: int) -> None:
        for broker in self._brokers:
            if broker.take_back(slot.worker, number, count):
                return

    # --- children ------------------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        control_read, control_write = os.pipe()
        report_read, report_write = os.pipe()
        permits = [os.pipe() for _ in range(self._settings.threads + 1)]
        pipes = Pipes(control_read, report_write, permits)

        def close() -> None:
            for fd in (control_write, report_read, self._wake_read, self._wake_write):
                os.close(fd)
            for other in self._children:
                other.close()

        pid = child.fork(self._settings, pipes, close)
        os.close(control_read)
        os.close(report_write)
        self._children.append(Child(pid, control_write, report_read, permits))

    def _replenish(self) -> None:
        if self._exit is not None or self._upkeep is None or time.monotonic() < self._spawn_at:
            return
        if self._settings.is_burst:
            if not self._children:
                self._exit = 0
            return
        while len(self._children) < self._wanted:
            self._spawn()

    def _select(self) -> None:
        by_fd = {each.report: each for each in self._children}
        ready, _, _ = select.select([self._wake_read, *by_fd], [], [], TICK)
        for fd in ready:
            if fd == self._wake_read:
                try:
                    os.read(fd, 4096)
                except BlockingIOError:
                    pass
            else:
                self._read_report(by_fd[fd])

    def _read_report(self, each: Child) -> None:
        data = os.read(each.report, 65536)
        if not data:
            time.sleep(0.001)  # it is about to be collected; do not spin until the kernel says so
        each.inbox += data
        while len(each.inbox) >= 4:
            size = int.from_bytes(each.inbox[:4], "big")
            if len(each.inbox) < 4 + size:
                return
            told = payload.loads(each.inbox[4 : 4 + size])
            each.inbox = each.inbox[4 + size :]
            getattr(self, f"_on_{told.pop('kind')}")(each, **told)

    def _on_hello(self, each: Child, queues: bytes, tasks: list[str]) -> None:
        each.is_ready = True
        if self._upkeep is not None:
            return
        found: list[tuple[str, Store]] = payload.loads(queues)
        stores: dict[str, Store] = {}
        found = [(name, stores.setdefault(str(store), store)) for name, store in found]
        try:
            for store in stores.values():
                store.repeat(lambda store=store: store.command("hotqueue", "PING"), patience=5.0)  # type: ignore[misc]
        except HotQueueError as error:
            self._on_failed(each, child.EXIT_UNREACHABLE if isinstance(error, ConnectionFailed) else child.EXIT_USAGE, str(error))
            return
        self._brokers = [Broker(store, name) for name, store in found]
        self._upkeep = Upkeep(self._brokers, self._settings.lease_ms, self._terminate)
        self._tell_ready(found, tasks)
        for _ in range(self._wanted - 1):
            self._spawn()

    def _on_failed(self, each: Child, code: int, text: str) -> None:
        if self._upkeep is None:
            self._tell_failure(text)
            self._exit = code
            self._stop_children()
            self._stop_at = 0.0
        else:
            log.error("process %d cannot load the modules any more: %s", each.pid, text)

    def _on_worker(self, each: Child, slot: int, worker: str, folder: str, sort: str) -> None:
        old = each.slots.get(slot)
        permits = old.permits if old else Permits(each.permits[slot])
        each.slots[slot] = Slot(worker, folder, sort, permits, _shared_state(folder, worker))

    # --- deaths --------------------------------------------------------------------------------------------------

    def _collect_dead(self) -> None:
        for each in list(self._children):
            pid, status, usage = os.wait4(each.pid, os.WNOHANG)  # our own pids only: others may be somebody's affair
            if pid:
                self._children.remove(each)
                self._bury(each, os.waitstatus_to_exitcode(status), usage.ru_maxrss)

    def _bury(self, each: Child, code: int, peak_kb: int) -> None:
        """Put back what a dead child held; charge what ran, unless its end was our doing."""
        running = [task_id for slot in each.slots.values() for task_id, _, _ in slot.running()]
        cause, verdict, charged = self._verdict(each, code, peak_kb, running)
        for slot in each.slots.values():
            for broker in self._brokers:
                self._owe(self._reaping(broker, slot, cause, verdict, charged))
        each.close()
        if code == 0 or each.ended_for:
            return
        if each.is_ready and not (self._exit is not None and each.is_stopping):
            what = f"; it ran {', '.join(charged)}, which run{'s' * (len(charged) == 1)} again alone" if charged else ""
            log.error("process %d %s%s", each.pid, _how(code, peak_kb), what)
        self._slow_down(each)

    def _verdict(self, each: Child, code: int, peak_kb: int, running: list[str]) -> tuple[str, str, list[str]]:
        now = int(time.time() * 1000)
        if each.ended_for is None:
            line = attempts.error_line("lost", _how(code, peak_kb), now, exit=code, peak_kb=peak_kb)
            return json.dumps(line), "-", running
        task_id, why = each.ended_for
        if why == "time limit":
            line = attempts.error_line("time limit", "ran longer than its time_limit and was stopped", now)
            return json.dumps(line), attempts.TIME_LIMIT, [task_id]
        return "", "-", []

    def _reaping(self, broker: Broker, slot: Slot, cause: str, verdict: str, charged: list[str]) -> Callable[[], None]:
        def reap() -> None:
            broker.reap(slot.worker, known_dead=True, cause=cause, charged=charged, verdict=verdict)
            if broker is self._brokers[-1]:
                presence.forget(slot.folder, slot.worker)

        return reap

    def _slow_down(self, each: Child) -> None:
        quick = time.monotonic() - each.born < QUICK
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        if self._quick_deaths > 3:
            self._spawn_at = time.monotonic() + min(5.0, 0.1 * 2.0**self._quick_deaths)

    def _owe(self, write: Callable[[], None]) -> None:
        """Do a write that has to be done, now or when Redis is back."""
        self._owed.append(write)
        self._pay()

    def _pay(self, patience: float = 0.0) -> None:
        deadline = time.monotonic() + patience
        while self._owed:
            try:
                self._owed[0]()
            except ConnectionFailed as error:
                if time.monotonic() >= deadline:
                    if patience:
                        log.warning("%s; other workers put its tasks back", error)
                    return
                time.sleep(0.1)
            else:
                self._owed.pop(0)

    # --- looking after -------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        self._pay()
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            for each in self._children:
                self._end(each, "", "shutdown")
        if self._upkeep is None:
            return
        self._upkeep.own = [slot.worker for each in self._children for slot in each.slots.values()]
        self._upkeep.beat()
        for each in self._children:
            for slot in each.slots.values():
                self._look_at(each, slot)

    def _look_at(self, each: Child, slot: Slot) -> None:
        running = slot.running()
        now = time.monotonic()
        for task_id, started, deadline in running:
            if deadline and now > deadline:
                log.error(
                    "task %s runs for %.1f s, over its time_limit; its process %d is ended", task_id, now - started, each.pid
                )
                self._end(each, task_id, "time limit")
                return
        if slot.kind == "s" and self._upkeep is not None and slot.state is not None:
            self._upkeep.take_back_if_dragging(slot.worker, slot.state[:], slot.permits)

    def _terminate(self, task_id: str) -> None:
        for each in self._children:
            if any(task_id == found for slot in each.slots.values() for found, _, _ in slot.running()):
                log.warning("task %s was revoked with terminate=True; its process %d is ended", task_id, each.pid)
                self._end(each, task_id, "revoked")

    def _end(self, each: Child, task_id: str, why: str) -> None:
        if each.ended_for is None:
            each.ended_for = (task_id, why)
            os.kill(each.pid, signal.SIGKILL)


def _shared_state(folder: str, worker: str) -> mmap.mmap | None:
    """Return what a worker shows of what it runs; None when it is dead already, and a neighbour has put that in order."""
    try:
        with open(presence.path_of(folder, worker), "rb") as file:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except OSError:
        return None


def _how(code: int, peak_kb: int) -> str:
    """Return how a process ended, in words."""
    memory = f"(peak memory {peak_kb // 1024} MB)"
    if code >= 0:
        return f"exited with {code} without finishing its task {memory}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", probably out of memory" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint} {memory}"
