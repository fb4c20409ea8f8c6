"""The faults themselves: what each blow of the schedule does to workers and server, and how it is undone. All by pid."""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import RedisError

from hotqueue import HotQueueError, keys
from hotqueue.tasks.broker import holds
from tests.chaos import wire
from tests.chaos.schedule import Blow
from tests.chaos.stores import HOW, Watched
from tests.support import next_version
from tests.support.durations import let_pass
from tests.support.processes import command_code, environment, worker_processes
from tests.support.servers import LEASH
from tests.support.waiting import within

LEASE = 2  # seconds
THREADS = 2  # of a process
AIMING = 0.4  # seconds that a blow may wait for tasks to hit
NO_FIRST_PROCESS = 1  # the exit code of a worker whose first process died while it imported
UNREACHABLE = 4  # the exit code of a worker that finds no server when it starts
FAILING_OVER = 30.0  # seconds that the sentinels may take


@dataclass
class Fault:
    """What a blow did.

    Attributes:
        at: the moment it was done.
        back: the moment what it broke was whole again; None: never, or it broke nothing that needs that.
        pids: the processes that it ended or paused.
        held: ids of the tasks that those had fetched.
        is_on_lagging_disk: it killed a server that had acknowledged more than it had written.
        was_paused: it hit a worker that was paused, so that nobody but a neighbour could see to it.
        note: what happened beside.
    """

    kind: str
    at: float
    back: float | None = None
    pids: list[int] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    is_on_lagging_disk: bool = False
    was_paused: bool = False
    note: str = ""


class Scene:
    """Workers and two servers, and the faults that befall them.

    Args:
        other: the server of the queue beside.
        name: the queue's.
        env: of the workers.
        log: the file that the workers write to.
        following: where the package of the next version is.
    """

    def __init__(
        self, backend: Any, other: Any, name: str, env: dict[str, str], log: Path, workers: int, following: Path
    ) -> None:
        self.backend, self.other, self.faults = backend, other, list[Fault]()
        self.left_by_themselves: list[str] = []
        self._name, self._env, self._log = name, env, log
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._paused: set[int] = set()
        self._robbed: set[int] = set()  # workers one of whose processes was killed
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._away = False
        self._frozen = 0
        self._other_is_frozen = False
        self._wires = [wire.NOW] * workers
        self._next = following
        self._commands: list[subprocess.Popen[bytes]] = []
        self.workers = [self.start(at) for at in range(workers)]

    def start(self, at: int) -> subprocess.Popen[bytes]:
        """Start a worker of two processes, each of two threads and a few async tasks, to be number `at`."""
        options = ["-p2", f"-t{THREADS}", "--async-concurrency", "8", "--lease", LEASE, "--grace", "5", "tests.chaos.tasks"]
        command = [sys.executable, "-SE", "-c", LEASH, sys.executable, "-c", command_code("hotqueue-worker"), *map(str, options)]
        env = environment({**self._env, wire.VARIABLE: str(self._wires[at])})
        if self._wires[at] == wire.NEXT:
            env = next_version.environment(self._next, env)
        with open(self._log, "a") as log:
            return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    # --- time ----------------------------------------------------------------------------------------------------

    def due(self) -> float | None:
        """Return when the next thing is to be undone."""
        return self._later[0][0] if self._later else None

    def undo(self) -> None:
        """Undo what is due, and replace the workers that are gone."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        self._replace()

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._number), do))

    def _replace(self) -> None:
        self._leaving = [worker for worker in self._leaving if worker.poll() is None]
        for at, worker in enumerate(self.workers):
            if worker.poll() is not None:
                # One that starts without a server gives up, as documented, and one whose first process is killed, as if for want
                # of memory, before it has imported anything; HUP ends one that has not begun to listen to it.
                excused = [UNREACHABLE, -signal.SIGHUP, *[NO_FIRST_PROCESS] * (worker.pid in self._robbed)]
                if worker.returncode not in excused:
                    self.left_by_themselves.append(f"worker {worker.pid} ended with {worker.returncode}")
                self.workers[at] = self.start(at)

    # --- blows ---------------------------------------------------------------------------------------------------

    def strike(self, blow: Blow) -> None:
        """Do what a blow says."""
        getattr(self, f"_{blow.kind.replace(' ', '_')}")(blow)

    def _victim(self, blow: Blow) -> int:
        return int(blow.aim * len(self.workers))

    def _done(self, kind: str, pids: list[int], note: str = "", held: list[str] | None = None) -> Fault:
        self.faults.append(Fault(kind, time.monotonic(), None, pids, held or [], note=note))
        return self.faults[-1]

    def _busy_moment(self, pids: list[int]) -> list[str]:
        """Wait a little for a moment at which some processes hold more than they run; return the ids of what they hold."""
        held: list[str] = []

        def is_busy() -> bool:
            held[:] = self._held_by(pids)
            return len(held) > THREADS or self._away

        within(is_busy, AIMING, every=0.002)
        return held

    def _held_by(self, pids: list[int]) -> list[str]:
        """Return the ids of the tasks that the workers of some processes hold; none when the server does not answer."""
        store, key = self.backend.store, keys.workers(self._name)
        if self._away:
            return []
        try:
            found = [keys.text(worker) for worker in store.command(key, "ZRANGE", key, 0, -1)]
            theirs = [keys.held(self._name, w) for w in found if int(w.split("-")[-2]) in pids]
            records = [store.command(held, "HGETALL", held) for held in theirs]
            pairs = [pair for some in records for pair in zip(some[::2], some[1::2], strict=True)]
            return holds.ids_in((field, next_version.as_today(value)) for field, value in pairs)
        except HotQueueError:
            return []

    def _kill_a_process(self, blow: Blow) -> None:
        pids = [(pid, worker) for worker in self.workers for pid in worker_processes(worker.pid)]
        if not pids:
            return
        pid, worker = pids[int(blow.aim * len(pids))]
        held = self._busy_moment([pid])
        _send([pid], signal.SIGKILL)
        self._robbed.add(worker.pid)
        self._done(blow.kind, [pid], held=held).was_paused = worker.pid in self._paused

    def _kill_a_supervisor(self, blow: Blow) -> None:
        self._kill(blow, lambda worker: [worker.pid])

    def _kill_a_whole_worker(self, blow: Blow) -> None:
        self._kill(blow, lambda worker: [worker.pid, *worker_processes(worker.pid)])

    def _kill(self, blow: Blow, whom: Callable[[subprocess.Popen[bytes]], list[int]]) -> None:
        at = self._victim(blow)
        worker = self.workers[at]
        family = [worker.pid, *worker_processes(worker.pid)]
        pids = whom(worker)
        held = self._busy_moment(family)
        _send(pids, signal.SIGKILL)
        self._done(blow.kind, family, held=held)
        worker.wait()
        if worker.pid in self._paused:
            _send(family, signal.SIGCONT)
        self.workers[at] = self.start(at)

    def _pause_a_worker(self, blow: Blow) -> None:
        worker = self.workers[self._victim(blow)]
        pids = [worker.pid, *worker_processes(worker.pid)]
        _send(pids, signal.SIGSTOP)
        self._paused.add(worker.pid)
        fault = self._done(blow.kind, pids)

        def go_on() -> None:
            self._paused.discard(worker.pid)
            _send([pid for pid in pids if pid != worker.pid or worker.poll() is None], signal.SIGCONT)
            fault.back = time.monotonic()

        self._after(blow.lasts, go_on)

    def _rolling_restart(self, blow: Blow) -> None:
        for n in range(len(self.workers)):
            self._after(n * blow.lasts / len(self.workers), lambda n=n: self._restart(n))  # type: ignore[misc]
        self.undo()

    def _upgrade_a_worker(self, blow: Blow) -> None:
        at = self._victim(blow)
        self._wires[at] = wire.NEXT
        self._restart(at, blow.kind)

    def _take_the_queues_up(self, blow: Blow) -> None:
        """Kill the command that does, some time after it was started; then run it until it has succeeded."""
        fault = self._done(blow.kind, [])
        for url, name in ((self.backend.url, self._name), (self.other.url, f"{self._name}-other")):
            self._take_up(url, name, fault)
            self._after(blow.lasts, self._commands[-1].kill)

    def _take_up(self, url: str, name: str, fault: Fault) -> None:
        code = command_code("hotqueue")
        command = [sys.executable, "-SE", "-c", LEASH, sys.executable, "-c", code, "upgrade", name, "-u", url, "--yes"]
        env = next_version.environment(self._next, environment(self._env))
        upgrade = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._commands.append(upgrade)

        def look() -> None:
            if upgrade.poll() is None:
                self._after(0.1, look)
            elif upgrade.returncode:
                self._take_up(url, name, fault)
            else:
                fault.back = time.monotonic()

        self._after(0.1, look)

    def _restart(self, at: int, kind: str = "rolling restart") -> None:
        old = self.workers[at]
        self._done(kind, [old.pid, *worker_processes(old.pid)])
        if old.poll() is None:
            old.terminate()
        self._leaving.append(old)
        self.workers[at] = self.start(at)

    def _poison(self, blow: Blow) -> None:
        """Do nothing here: a producer sends it, at its time."""

    def _hang_up(self, blow: Blow) -> None:
        worker = self.workers[self._victim(blow)]
        if worker.poll() is None:
            self._done(blow.kind, [worker.pid, *worker_processes(worker.pid)])
            worker.send_signal(signal.SIGHUP)

    def _cut_connections(self, blow: Blow) -> None:
        if self._away:
            return
        try:
            self.backend.cut()
        except Exception as error:  # the server may be gone this very moment
            self._done("cut connections that were not there", [], str(error))
        else:
            self._done(blow.kind, []).back = time.monotonic()

    # --- the server ----------------------------------------------------------------------------------------------

    def _kill_the_server(self, blow: Blow) -> None:
        if self._away:
            return
        lags = self._lags()
        self.backend.kill(HOW[blow.kind])
        self._away = True
        fault = self._done(blow.kind, [])
        fault.is_on_lagging_disk = lags and HOW[blow.kind] is signal.SIGKILL

        def bring_back() -> None:
            self.backend.revive()
            self._look(fault)

        self._after(blow.lasts if self.backend.has_to_be_revived else 0, bring_back)

    _restart_the_server = _keep_the_server_away = _kill_the_server

    def _lags(self) -> bool:
        try:
            return bool(self.backend.lags())
        except RedisError:
            return False

    def _look(self, fault: Fault) -> None:
        """Wait until the server answers again."""
        if not self.backend.answers():
            self._after(0.02, lambda: self._look(fault))
            return
        fault.back = time.monotonic()
        self._away = False

    def _freeze_the_server(self, blow: Blow) -> None:
        if self._away:
            return
        self._frozen = self.backend.pid()
        _send([self._frozen], signal.SIGSTOP)
        self._away = True
        fault = self._done(blow.kind, [])
        self._after(blow.lasts, lambda: self._thaw(fault))

    def _thaw(self, fault: Fault) -> None:
        _send([self._frozen], signal.SIGCONT)
        self._frozen = 0
        self._look(fault)

    def _freeze_the_other_server(self, blow: Blow) -> None:
        if self._other_is_frozen:
            return
        _send([self.other.pid()], signal.SIGSTOP)
        self._other_is_frozen = True
        fault = self._done(blow.kind, [])

        def thaw() -> None:
            self._thaw_the_other()
            fault.back = time.monotonic()

        self._after(blow.lasts, thaw)

    def _thaw_the_other(self) -> None:
        _send([self.other.pid()], signal.SIGCONT)
        self._other_is_frozen = False

    def _failover(self, blow: Blow) -> None:
        backend: Watched = self.backend
        if self._away or not backend.is_in_step():
            self._done("failover that was not possible", [], "the replica was not in step")
            return
        backend.kill(HOW[blow.kind])
        self._away = True
        fault = self._done(blow.kind, [])

        def bring_back() -> None:
            if backend.is_known():
                backend.revive()
            else:
                self._after(0.1, bring_back)

        def look() -> None:
            if backend.is_promoted():
                fault.back = time.monotonic()
                self._away = False
                self._after(0.1, bring_back)
            elif time.monotonic() < fault.at + FAILING_OVER:
                self._after(0.02, look)
            else:
                fault.note = "no new master"

        self._after(0.5, look)

    # --- the end -------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Undo all that is still to be undone, when it is due."""
        while (due := self.due()) is not None:
            let_pass(min(due - time.monotonic(), 0.1))
            self.undo()
        self._replace()

    def stop(self) -> list[str]:
        """End every worker, gently if it can be; return what went wrong in that."""
        wrong = []
        if self._frozen:
            _send([self._frozen], signal.SIGCONT)
        self._thaw_the_other()
        for worker in (*self.workers, *self._leaving):
            if worker.poll() is None:
                _send([worker.pid, *worker_processes(worker.pid)], signal.SIGCONT)
                worker.terminate()
        until = time.monotonic() + 15
        for worker in (*self.workers, *self._leaving):
            try:
                code = worker.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pids = [worker.pid, *worker_processes(worker.pid)]
                wrong.append(f"worker {worker.pid} does not end after TERM")
                _send(pids, signal.SIGKILL)
                worker.wait()
            else:
                if code not in (0, -signal.SIGTERM):  # TERM itself: it had only just begun to start
                    wrong.append(f"worker {worker.pid} ended with {code} after TERM")
        return wrong


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
