"""Supervisor: the parent of the worker processes: one loop over signals, reports, deaths, limits.

It runs no user code: so no GIL, event loop or leak of a task can stop a lease from being renewed. Handlers of signals only
note them, and what Redis has to do with is a job for a thread of its own, so that the loop never waits for Redis.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hotqueue import presence
from hotqueue.plurals import plural
from hotqueue.runtime import descriptors
from hotqueue.runtime.background import Background
from hotqueue.runtime.wake_pipe import readable
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.child_deaths import Deaths
from hotqueue.tasks.supervisor.child_reports import Reports
from hotqueue.tasks.supervisor.code_version import code_version
from hotqueue.tasks.supervisor.found_queues import FoundQueues
from hotqueue.tasks.supervisor.health import HealthPort, Probes
from hotqueue.tasks.supervisor.orders_from_afar import OrdersFromAfar
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.quarantine import Quarantine
from hotqueue.tasks.supervisor.replacement import Replacement, dismiss
from hotqueue.tasks.supervisor.served_queues import Queues
from hotqueue.tasks.supervisor.service_manager import ServiceManager
from hotqueue.tasks.supervisor.signals import Signals
from hotqueue.tasks.supervisor.upkeep import WRITING, Upkeep
from hotqueue.tasks.supervisor.watchdog import Watchdog
from hotqueue.tasks.worker.child import Settings, Suspects
from hotqueue.tasks.worker.reporter import EXIT_CRASH

log = logging.getLogger("hotqueue.worker")

TICK = 0.1  # seconds between two looks at what the children run
NO_PROCESS = 1.0  # seconds until the system is asked for a process again


class Supervisor:
    """Keeps worker processes going.

    1. `run` installs the signals' handlers, opens the health port, and starts the first process (`_spawn`).
    2. That imports the modules and names the queues; their servers are checked, and their upkeep begins (child_reports.py).
    3. From then on, a few times a second and whenever something happens, the loop
       a. waits for reports and signals, and acts upon them (`_select`, `_answer_signals`),
       b. collects the dead, and has put back what they held (child_deaths.py),
       c. starts the processes that are wanted (`_replenish`; replacement.py, quarantine.py),
       d. ends what takes too long (watchdog.py), and has leases renewed and queues kept in order (upkeep.py).
    4. Told to stop, or at the end of a burst, it has the processes finish; after the grace period it ends them.
    5. Once the last one has gone, and Redis has taken all pending writes (`_all_is_written`), `run` returns the exit code.

    Args:
        on_ready: called once with the queues and tasks that the first child found, and where globs find more.
        on_failed: called with the text of why the modules cannot be loaded.
    """

    def __init__(
        self,
        settings: Settings,
        on_ready: Callable[[list[tuple[str, Store]], list[str], list[Store]], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._presence = presence.Presence()  # by which others see whether we live; if not, they put back what our workers held
        self._settings = replace(settings, supervisor=self._presence.id)
        self._state = Phase(on_failed)
        self._signals = Signals()
        self._pool = Processes(self._settings, self._state)
        self._replacement = Replacement(settings.processes, settings.is_burst, self._pool.stop)
        self._quarantine = Quarantine(self._presence.id, settings.lease_ms, self._state.write_later)
        self._background = Background(self._signals.wake)
        self._orders: deque[Callable[[], None]] = deque()  # from jobs in the background, for this loop
        queues = Queues()
        self._found = FoundQueues(settings.queues, queues, self._pool, self._state, self._signals.wake)
        shared = self._state, self._pool, self._replacement
        self._reports = Reports(self._settings, *shared, self._background, self._upkeep_of, on_ready, queues, self._found)
        self._deaths = Deaths(*shared, self._quarantine)
        self._watchdog = Watchdog(self._pool, self._state, settings.modules)
        self._from_afar = OrdersFromAfar(*shared, self._presence.id, self._orders.append, self._watchdog.terminate, self._stop)
        self._marked: list[Broker] = []  # noted once the reports of before are read: then we know all who may hold something
        self._health: HealthPort | None = None
        self._manager = ServiceManager()
        self._childless_since: float | None = None

    def _upkeep_of(self, brokers: list[Broker]) -> Upkeep:
        told = self._settings
        return Upkeep(
            brokers,
            told.lease_ms,
            self._from_afar.take,
            lambda *given_up: self._orders.append(partial(self._pool.give_up, *given_up)),
            self._signals.wake,
            self._quarantine.attend,
            self._reports.queues.signer_of,
            *(told.is_burst, told.keep_ended, code_version(told.code_version, told.modules)),
        )

    def run(self) -> int:
        """Work until told to stop, or until a burst is over; return the exit code."""
        self._signals.listen()
        self._pool.ours.extend(self._signals.descriptors())
        self._open_health_port()
        importlib.import_module("hotqueue.store.asyncio")  # with redis: children share what is imported before they are forked
        gc.freeze()  # a collection in a child writes to all objects that it looks through: it would copy what they share
        self._spawn()
        while True:
            self._select()
            self._conclude_background()
            self._answer_signals()
            self._collect_dead()
            self._manager.tell(self._state)
            if self._state.exit is not None and not self._pool.all and self._all_is_written():
                if self._state.stop_at is not None and self._state.upkeep is not None:
                    log.info("stopped")
                self._presence.close()
                return self._state.exit
            self._replenish()  # before background jobs: a process that forks has one thread
            self._look_after()

    def scheduled(self) -> int | None:
        """Return how many tasks of the queues wait for their time; None when stopped, or when Redis does not say."""
        return None if self._state.stop_at is not None else self._reports.queues.scheduled()

    def blocked(self) -> int:
        """Return how many tasks of the queues wait at gates; 0 where Redis does not say."""
        return self._reports.queues.blocked()

    def paused(self) -> list[str]:
        """Return the names of the queues that are paused; none where Redis does not say."""
        return self._reports.queues.paused()

    def _open_health_port(self) -> None:
        if self._settings.health_port is not None:
            host, port = self._settings.health_port
            probes = Probes(self._pool, self._state, self._settings.lease_ms / 1000)
            self._health = HealthPort(port, {"/livez": probes.is_live, "/readyz": probes.is_ready}, host)
            self._pool.ours.append(self._health.fileno())
            log.info("health port: http://%s/livez and /readyz", self._health.address)

    # --- what happened -------------------------------------------------------------------------------------------

    def _select(self) -> None:
        by_fd = {each.report: each for each in self._pool.all}
        wakeup, health = self._signals.fileno(), self._health.fileno() if self._health is not None else None
        new = self._found.descriptors()
        upkeep = self._state.upkeep
        tick = TICK if upkeep is None or self._waits_to_fork else min(TICK, upkeep.until_fire())
        for fd in readable([wakeup, *([] if health is None else [health]), *by_fd, *new], tick):
            if fd in new:
                new[fd].soon()
            elif fd == wakeup:
                self._signals.clear()
            elif fd == health and self._health is not None:
                self._health.answer()
            else:
                self._reports.receive(by_fd[fd], by_fd[fd].reports())

    def _conclude_background(self) -> None:
        self._background.conclude()
        if self._state.upkeep is not None:
            self._state.upkeep.conclude()
            self._found.conclude()
        while self._orders:
            self._orders.popleft()()

    def _answer_signals(self) -> None:
        for number in self._signals.noted():
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(signal.Signals(number).name)
            elif number == signal.SIGHUP and self._signals.has_terminal:
                if self._state.stop_at is None:  # it comes twice, from the shell and from the system: not to end what runs
                    self._stop("SIGHUP, as when the terminal is closed")
            elif number in (signal.SIGHUP, signal.SIGUSR2) and self._state.exit is None:
                why = signal.Signals(number).name
                self._replacement.begin(self._pool.ordinary, is_first=self._state.upkeep is None, why=why)
            elif number == signal.SIGUSR1:
                for each in self._pool.all:
                    os.kill(each.pid, signal.SIGUSR1)
            elif number == signal.SIGTTIN:
                self._replacement.wanted += 1
            elif number == signal.SIGTTOU:
                self._replacement.fewer(self._pool.ordinary)

    def _stop(self, why: str) -> None:
        if self._state.stop_at is None:
            log.info("%s: finishing what runs, for %g s at most; once more to stop at once", why, self._settings.grace)
            self._state.exit = 0
            self._state.stop_at = time.monotonic() + self._settings.grace
            self._quarantine.close()
            if self._state.upkeep is not None:
                self._state.upkeep.end_schedules()
            self._pool.stop_all()
            for each in self._pool.all:
                if not each.is_ready:
                    dismiss(each)
        else:
            if self._state.stop_at:
                log.info("%s again: what runs is ended at once, and goes back uncharged", why)
            self._state.stop_at = 0.0

    def _collect_dead(self) -> None:
        for dead in self._pool.collect():
            self._reports.receive(dead.child, dead.child.last_words())
            self._pool.all.remove(dead.child)
            self._deaths.conclude(dead)

    def _all_is_written(self) -> bool:
        """Tell whether no writes are pending any more, or Redis did not take them in time."""
        if (upkeep := self._state.upkeep) is not None:
            upkeep.count_the_last()
        if self._background.is_free and (upkeep is None or not (upkeep.writes_pending or upkeep.is_due or not upkeep.is_free)):
            return True
        self._childless_since = self._childless_since or time.monotonic()
        is_late = time.monotonic() - self._childless_since >= (WRITING if upkeep is None else upkeep.last_patience())
        if is_late and upkeep is not None and upkeep.writes_pending:
            log.warning("Redis did not take the last writes; other workers put the queues in order")
        return is_late

    # --- processes -----------------------------------------------------------------------------------------------

    def _spawn(self, suspects: Suspects | None = None) -> bool:
        """Start a process; False, and a while to wait, when the system gives none."""
        try:
            self._pool.spawn(suspects)
        except OSError as error:
            self._cannot_spawn(descriptors.shortage(error) or str(error))
            return False
        return True

    def _cannot_spawn(self, why: str) -> None:
        if self._state.upkeep is None and self._state.exit is None:
            self._state.cannot_begin(f"no process can be started: {why}", EXIT_CRASH)
        else:
            log.error("no process can be started: %s; trying again in %g s", why, NO_PROCESS)
            self._replacement.not_before = time.monotonic() + NO_PROCESS

    def _replenish(self) -> None:
        if self._state.exit is not None or self._state.upkeep is None:
            return
        if self._settings.is_burst and self._may_fork and self._burst_is_over(self._state.upkeep):
            self._state.upkeep.end_schedules()
            self._state.exit = 0
            return
        missing = self._replacement.turn(self._pool.ordinary)
        if self._may_fork and time.monotonic() >= self._replacement.not_before:
            self._fill_quarantine()
            while missing and self._spawn():
                missing -= 1
        self._replacement.lacks = missing > 0

    @property
    def _may_fork(self) -> bool:
        """True while this process has one thread."""
        return self._background.is_free and self._found.is_free and (self._state.upkeep is None or self._state.upkeep.is_free)

    @property
    def _waits_to_fork(self) -> bool:
        """True while a process is to be started as soon as what is under way at Redis has ended: nothing more is begun then."""
        is_wanted = self._replacement.lacks or self._quarantine.has_claimed
        return is_wanted and self._state.exit is None and time.monotonic() >= self._replacement.not_before

    def _fill_quarantine(self) -> None:
        while (suspects := self._quarantine.next()) is not None:
            if not self._spawn(suspects):
                self._quarantine.ended(suspects, well=False)
                return
            text = "process %d starts for %s of queue %s, beside the others"
            log.info(text, self._pool.all[-1].pid, plural(suspects.size, "suspect"), suspects.queue)
        beside = len(self._pool.all) - len(self._pool.ordinary)
        self._quarantine.room = self._replacement.wanted - beside

    def _burst_is_over(self, upkeep: Upkeep) -> bool:
        return not (self._pool.all or self._replacement.to_begin or upkeep.is_due or self._quarantine.is_needed)

    def _look_after(self) -> None:
        self._watchdog.look()
        if self._state.upkeep is None:
            return
        for each in self._pool.working:
            self._quarantine.note(each)
        self._state.upkeep.note_holds(self._marked)
        self._marked = [queue for each in self._pool.all for queue in each.marked()]
        if self._waits_to_fork:
            self._state.upkeep.begin_beside_beats()
        else:
            self._state.upkeep.own = [slot.worker for each in self._pool.working for slot in each.slots.values()]
            self._state.upkeep.begin()
            if self._state.exit is None and not self._settings.is_burst:
                self._found.begin()
