"""The parent of the worker processes: signals, leases, deaths, limits. Imports no user code and runs none.

So no GIL, event loop or leak of a task can stop a lease from being renewed. One loop: handlers of signals only note them, and
what Redis has to do with is a job for a thread of its own, so that the loop never waits for Redis.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from hotqueue import presence
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.runtime import descriptors
from hotqueue.runtime.background import Background
from hotqueue.store.patience import PATIENCE
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.children import Child, Orphans, Slot, spawn
from hotqueue.tasks.supervisor.deaths import Death, death_of
from hotqueue.tasks.supervisor.health import HealthPort
from hotqueue.tasks.supervisor.preflight import check_queues
from hotqueue.tasks.supervisor.quarantine import Quarantine
from hotqueue.tasks.supervisor.replacement import Replacement, dismiss
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker import child, logbook
from hotqueue.tasks.worker.child import Company, Settings
from hotqueue.tasks.worker.wakeup import readable

log = logging.getLogger("hotqueue.worker")

TICK = 0.1  # seconds between two looks at what the children run
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)
LONG_IMPORT = 5.0  # seconds of importing after which a word is due
FROZEN = 5.0  # seconds without progress and without a task after which others get what a worker fetched asleep
STUCK = 30.0  # seconds without progress and without a task after which a process is replaced
PAYING = 1.0  # seconds for what is owed to Redis once the last child has gone; neighbours can do the rest
NO_PROCESS = 1.0  # seconds until the system is asked for a process again


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
        self._presence = presence.Presence()  # by which neighbours see whether we live, to bury our dead
        self._settings = replace(settings, supervisor=self._presence.id)
        self._tell_ready, self._tell_failure = on_ready, on_failed
        self._children: list[Child] = []
        self._brokers: dict[tuple[int, str], Broker] = {}  # by store and queue, which two stores may call the same
        self._stores: dict[bytes, Store] = {}  # by their addresses
        self._upkeep: Upkeep | None = None
        self._noted: list[int] = []
        self._stop_at: float | None = None
        self._exit: int | None = None
        self._replacement = Replacement(settings.processes, settings.is_burst, self._stop_child)
        self._quarantine = Quarantine(self._presence.id, settings.lease_ms, self._owe)
        self._background = Background(self._wake)
        self._orphans = Orphans()
        self._orders: deque[Callable[[], None]] = deque()  # from jobs in the background, for this loop
        self._childless_since: float | None = None
        self._warned = False
        self._health: HealthPort | None = None

    def run(self) -> int:
        """Work until told to stop, or until a burst is over; return the exit code."""
        self._listen_to_signals()
        if self._settings.health_port is not None:
            host, port = self._settings.health_port
            self._health = HealthPort(port, {"/livez": self._is_live, "/readyz": self._is_ready}, host)
            log.info("health port: http://%s/livez and /readyz", self._health.address)
        importlib.import_module("hotqueue.store.asyncio")  # with redis: children share what is imported before they are forked
        gc.freeze()  # a collection in a child writes to all objects that it looks through: it would copy what they share
        self._spawn()
        while True:
            self._select()
            self._conclude_background()
            self._answer_signals()
            self._collect_dead()
            if self._exit is not None and not self._children and self._have_paid():
                if self._stop_at is not None and self._upkeep is not None:
                    log.info("stopped")
                self._presence.close()
                return self._exit
            self._replenish()  # before background jobs: a process that forks has one thread
            self._look_after()

    def scheduled(self) -> int | None:
        """Return how many tasks of the queues wait for their time; None when stopped, or when Redis does not say."""
        if self._stop_at is not None:
            return None
        try:
            return sum(broker.counts()["scheduled"] for broker in self._brokers.values())
        except HotQueueError:
            return None

    def paused(self) -> list[str]:
        """Return the names of the queues that are paused; none where Redis does not say."""
        try:
            return [broker.name for broker in self._brokers.values() if broker.is_paused()]
        except HotQueueError:
            return []

    # --- background -----------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"e")
        except BlockingIOError:
            pass  # full: it is awake enough

    def _conclude_background(self) -> None:
        self._background.conclude()
        if self._upkeep is not None:
            self._upkeep.conclude()
        while self._orders:
            self._orders.popleft()()

    def _have_paid(self) -> bool:
        """Tell whether nothing is owed to Redis any more, or it did not take it in time."""
        upkeep = self._upkeep
        if self._background.is_free and (upkeep is None or not (upkeep.owes or upkeep.is_due or not upkeep.is_free)):
            return True
        self._childless_since = self._childless_since or time.monotonic()
        if time.monotonic() - self._childless_since < PAYING:
            return False
        if upkeep is not None and upkeep.owes:
            log.warning("Redis did not take what was left to tell; other workers put it in order")
        return True

    # --- health --------------------------------------------------------------------------------------------------

    def _is_live(self) -> tuple[bool, dict[str, object]]:
        idle = [slot.idle_for() for each in self._working() for slot in each.slots.values()]
        return max(idle, default=0.0) <= STUCK, {
            "processes": len(self._crew()),
            "longest_without_progress": max(idle, default=0.0),
        }

    def _is_ready(self) -> tuple[bool, dict[str, object]]:
        working = [each.pid for each in self._crew() if each.slots and not each.is_stopping and each.leaves_by is None]
        since = None if self._upkeep is None else self._upkeep.seconds_since_success()
        reached = since is not None and since * 1000 <= self._settings.lease_ms
        return bool(working) and reached and self._exit is None, {"processes": len(working), "seconds_since_redis": since}

    # --- signals -------------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._has_terminal = descriptors.has_terminal()
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup: whoever started us wants it ignored
            signal.signal(number, lambda number, _frame: self._noted.append(number))

    def _answer_signals(self) -> None:
        while self._noted:
            number = self._noted.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(signal.Signals(number).name)
            elif number == signal.SIGHUP and self._has_terminal:
                if self._stop_at is None:  # it comes twice, from the shell and from the system: not to end what runs
                    self._stop("SIGHUP, as when the terminal is closed")
            elif number == signal.SIGHUP and self._exit is None:
                self._replacement.begin(self._crew(), is_first=self._upkeep is None)
            elif number == signal.SIGUSR1:
                for each in self._children:
                    os.kill(each.pid, signal.SIGUSR1)
            elif number == signal.SIGTTIN:
                self._replacement.wanted += 1
            elif number == signal.SIGTTOU:
                self._replacement.fewer(self._crew())

    def _stop(self, why: str) -> None:
        if self._stop_at is None:
            log.info("%s: finishing what runs, for %g s at most; once more to stop at once", why, self._settings.grace)
            self._exit = 0
            self._stop_at = time.monotonic() + self._settings.grace
            self._quarantine.close()
            self._stop_children()
            for each in self._children:
                if not each.is_ready:
                    dismiss(each)
        else:
            if self._stop_at:
                log.info("%s again: what runs is ended at once, and goes back uncharged", why)
            self._stop_at = 0.0

    def _stop_children(self) -> None:
        for each in self._children:
            self._stop_child(each)

    def _stop_child(self, each: Child) -> None:
        """Have a child finish what it runs; what it has not started goes back at once."""
        each.stop()
        for slot in each.slots.values():
            if self._upkeep is not None:
                self._upkeep.take_back(slot.worker, slot.permits, each.queues)

    # --- children ------------------------------------------------------------------------------------------------

    def _spawn(self, company: Company | None = None) -> bool:
        """Start a process; False, and a while to wait, when the system gives none.

        Args:
            company: the suspects that a quarantine process is for.
        """
        ours = [self._wake_read, self._wake_write]
        if self._health is not None:
            ours.append(self._health.fileno())
        try:
            self._children.append(spawn(self._settings.for_suspects(company), self._children, tuple(ours)))
        except OSError as error:
            self._cannot_spawn(descriptors.shortage(error) or str(error))
            return False
        return True

    def _cannot_spawn(self, why: str) -> None:
        if self._upkeep is None and self._exit is None:
            self._tell_failure(f"no process can be started: {why}")
            self._exit = child.EXIT_CRASH
        else:
            log.error("no process can be started: %s; trying again in %g s", why, NO_PROCESS)
            self._replacement.not_before = time.monotonic() + NO_PROCESS

    def _replenish(self) -> None:
        if self._exit is not None or self._upkeep is None:
            return
        if self._settings.is_burst and self._may_fork and self._burst_is_over():
            self._exit = 0
            return
        missing = self._replacement.turn(self._crew())
        if self._may_fork and time.monotonic() >= self._replacement.not_before:
            self._fill_quarantine()
            while missing and self._spawn():
                missing -= 1
        self._replacement.lacks = missing > 0

    @property
    def _may_fork(self) -> bool:
        """True while this process has one thread."""
        return self._background.is_free and (self._upkeep is None or self._upkeep.is_free)

    @property
    def _waits_to_fork(self) -> bool:
        """True while a process is to be started as soon as what is under way at Redis has ended: nothing more is begun then."""
        is_wanted = self._replacement.lacks or self._quarantine.has_claimed
        return is_wanted and self._exit is None and time.monotonic() >= self._replacement.not_before

    def _fill_quarantine(self) -> None:
        while (company := self._quarantine.next()) is not None:
            if not self._spawn(company):
                self._quarantine.ended(company, well=False)
                return
            text = "process %d starts for %d suspect%s of queue %s, beside the others"
            log.info(text, self._children[-1].pid, company.size, "s"[: company.size != 1], company.queue)
        self._quarantine.room = self._replacement.wanted - (len(self._children) - len(self._crew()))

    def _burst_is_over(self) -> bool:
        assert self._upkeep is not None
        return not (self._children or self._replacement.owed or self._upkeep.is_due or self._quarantine.is_needed)

    def _crew(self) -> list[Child]:
        """Return the children but for quarantine processes, which are beside them."""
        return [each for each in self._children if each.company is None]

    def _working(self) -> list[Child]:
        """Return the children but for those that only do what is done at an exit, which may take its time."""
        return [each for each in self._children if each.leaves_by is None]

    def _select(self) -> None:
        by_fd = {each.report: each for each in self._children}
        health = [self._health.fileno()] if self._health is not None else []
        ready = readable([self._wake_read, *health, *by_fd], TICK)
        for fd in ready:
            if fd == self._wake_read:
                try:
                    os.read(fd, 4096)
                except BlockingIOError:
                    pass
            elif fd in health and self._health is not None:
                self._health.answer()
            else:
                self._hear(by_fd[fd], by_fd[fd].reports())

    def _hear(self, each: Child, reports: Iterable[dict[str, Any]]) -> None:
        for told in reports:
            getattr(self, f"_on_{told.pop('kind')}")(each, **told)

    def _on_hello(self, each: Child, queues: bytes, tasks: list[str]) -> None:
        each.is_ready = True
        self._replacement.loaded()
        found: list[tuple[str, Store]] = payload.loads(queues)
        each.queues = [self._broker_of(name, store) for name, store in found]
        if self._upkeep is not None:
            self._upkeep.adopt(each.queues)  # the modules may have been changed since the first process
            if each.company is not None:
                each.begin()
            return
        named = [(broker.name, broker.store) for broker in each.queues]
        self._background.begin(partial(check_queues, named), partial(self._after_greeting, each, named, tasks))

    def _broker_of(self, name: str, store: Store) -> Broker:
        """Return the queue that a child told of; all that are at one store share its connections."""
        told = payload.dumps(store.address)  # not by `==`: a credential provider, say, is equal to itself alone
        known = self._stores.setdefault(told, store)
        if known is store:
            store.starts_threads, store.patience = False, PATIENCE
        return self._brokers.setdefault((id(known), name), Broker(known, name))

    def _after_greeting(
        self, each: Child, found: list[tuple[str, Store]], tasks: list[str], refusal: HotQueueError | None
    ) -> None:
        if refusal is not None:
            code = child.EXIT_UNREACHABLE if isinstance(refusal, ConnectionFailed) else child.EXIT_USAGE
            if self._exit is None:
                self._on_failed(each, code, str(refusal))
            return
        self._upkeep = Upkeep(
            list(self._brokers.values()),
            self._settings.lease_ms,
            lambda task_id: self._orders.append(partial(self._terminate, task_id)),
            lambda queue, worker: self._orders.append(partial(self._give_up, queue, worker)),
            self._wake,
            self._quarantine.attend,
        )
        if self._exit is not None:
            return
        self._tell_ready(found, tasks)

    def _on_failed(self, each: Child, code: int, text: str) -> None:
        if self._upkeep is None:
            self._tell_failure(text)
            self._exit = code
            self._stop_children()
            self._stop_at = 0.0
        else:
            each.why_not = text

    def _on_ends_soon(self, each: Child) -> None:
        each.ends_soon = True

    def _on_finishing(self, each: Child) -> None:
        """It fetches nothing more, and has room for what others are to run."""
        each.is_stopping = True
        self._replacement.owe(each)

    def _on_leaving(self, each: Child, had_enough: bool) -> None:
        each.leaves_by = time.monotonic() + self._settings.grace
        if had_enough:
            self._replacement.owe(each)

    def _on_worker(self, each: Child, trouble: str, **told: Any) -> None:
        each.note_worker(**told)
        self._replacement.works(each, self._children)
        if trouble and presence.TROUBLE not in self._settings.said:
            self._settings.said.add(presence.TROUBLE)
            log.warning("%s", presence.advice(trouble, self._settings.lease_ms / 1000))

    # --- deaths --------------------------------------------------------------------------------------------------

    def _collect_dead(self) -> None:
        for each in list(self._children):
            pid, status, usage = os.wait4(each.pid, os.WNOHANG)  # our own pids only: others may be another's
            if pid:
                self._hear(each, each.last_words())
                self._children.remove(each)
                self._bury(each, os.waitstatus_to_exitcode(status), usage.ru_maxrss)
        self._orphans.collect([each.pid for each in self._children])

    def _bury(self, each: Child, code: int, peak_kb: int) -> None:
        """Put back what a dead child held; charge what ran, unless its end was our doing."""
        death = death_of(each, code, peak_kb)
        for slot in each.slots.values():
            if not death.charged:  # should Redis stay away until we have left as well, others read it there
                presence.clear_state(slot.folder, slot.worker)
            unreaped = set(each.queues)
            for broker in each.queues:
                self._owe(broker, self._reaping(broker, slot, death, unreaped))
        if self._upkeep is not None and (code != 0 or each.ended_for or each.company):
            self._upkeep.sweep_soon()  # it may have registered a worker and died before it could say so
        each.close()
        if self._upkeep is None and self._exit is None and not each.is_ready:
            self._tell_failure(f"the first process {death.how}, before it had imported the modules")
            self._exit = child.EXIT_CRASH
            return
        self._replacement.died(each)
        if each.company is not None:
            self._quarantine.ended(each.company, well=code == 0 or bool(death.charged) or each.ended_for is not None)
        if each.company is not None or (code != 0 and each.leaves_by is None):
            self._replacement.owe(each)  # also after a quarantine process: what it ran may have sent more, or have to be retried
        if not (each.is_ready or each.is_stopping or each.ended_for):
            why = each.why_not or f"a process {death.how}, before it had imported them"
            self._replacement.cannot_load(each, self._crew(), why)
            return
        if code == 0 or each.ended_for:
            return
        if each.leaves_by is not None:
            log.error("process %d ended with exit code %d while it did what is done at an exit", each.pid, code)
        elif each.is_ready and not (self._exit is not None and each.is_stopping):
            charged = death.charged
            told = logbook.about(charged[0] if len(charged) == 1 else "", exit=code, task_ids=charged or None)
            log.error("process %d %s%s", each.pid, death.how, death.aftermath, extra=told)
        if not death.charged and each.company is None:  # a task that kills its process must not hold up the others
            self._replacement.died_of_no_task(each)

    def _owe(self, broker: Broker, write: Callable[[], None]) -> None:
        if self._upkeep is not None:  # without, no child of ours has worked
            self._upkeep.owe(broker, write)

    def _reaping(self, broker: Broker, slot: Slot, death: Death, unreaped: set[Broker]) -> Callable[[], None]:
        def reap() -> None:
            death.reap(broker, slot.worker)
            unreaped.discard(broker)
            if death.charged and self._upkeep is not None:
                self._upkeep.sweep_soon()  # there may be suspects now
            if not unreaped:
                presence.forget(slot.folder, slot.worker)

        return reap

    # --- looking after -------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        self._warn_of_a_long_import()
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            for each in self._children:
                each.end("", "shutdown")
        for each in self._children:
            if each.leaves_by is not None and time.monotonic() >= each.leaves_by and each.ended_for is None:
                text = "process %d is ended: what it does at its exit (atexit, threads) takes longer than --grace"
                log.warning(text, each.pid)
                each.end("", "shutdown")
        if self._upkeep is None:
            return
        for each in self._working():
            self._quarantine.note(each)
            for slot in each.slots.values() if each.ended_for is None else ():
                self._look_at(each, slot)
        if not self._waits_to_fork:
            self._upkeep.own = [slot.worker for each in self._working() for slot in each.slots.values()]
            self._upkeep.begin()

    def _warn_of_a_long_import(self) -> None:
        now = time.monotonic()
        slow = [each for each in self._children if each.is_spare and not each.is_ready and now - each.born > LONG_IMPORT]
        if slow and not self._warned:
            self._warned = True
            log.warning(
                "process %d is still importing %s after %g s: does it wait for a task while it is imported? Put what is to run "
                'only as a script under `if __name__ == "__main__":`',
                slow[0].pid,
                ", ".join(self._settings.modules),
                LONG_IMPORT,
            )

    def _look_at(self, each: Child, slot: Slot) -> None:
        running = slot.running()
        now = time.monotonic()
        for task_id, started, deadline in running:
            if deadline and now > deadline:
                text = "task %s runs for %.1f s, over its time_limit; its process %d is ended"
                told = logbook.about(task_id, seconds=round(now - started, 3))
                log.error(text, logbook.shown(task_id), now - started, each.pid, extra=told)
                each.end(task_id, "time limit")
                return
        if slot.idle_for() > STUCK:
            log.error(
                "process %d has made no progress for %.0f s though it runs no task; it is replaced", each.pid, slot.idle_for()
            )
            each.end("", "stuck")
        if slot.kind == "s" and self._upkeep is not None:
            if slot.idle_for() > FROZEN:
                self._upkeep.take_back(slot.worker, slot.permits, each.queues)
            self._upkeep.take_back_if_dragging(slot.worker, slot.table[:], slot.permits, each.queues)

    def _give_up(self, queue: Broker, worker: str) -> None:
        for each in self._children:
            each.give_up(worker, queue)

    def _terminate(self, task_id: str) -> None:
        for each in self._children:
            if task_id in each.running():
                text = "task %s was revoked with terminate=True; its process %d is ended"
                log.warning(text, logbook.shown(task_id), each.pid, extra=logbook.about(task_id))
                each.end(task_id, "revoked")
