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

from tests.chaos.schedule import Blow
from tests.chaos.stores import HOW, Watched
from tests.processes import command_code, environment
from tests.servers import LEASH

LEASE = 2  # seconds
UNREACHABLE = 4  # the exit code of a worker that finds no server when it starts
FAILING_OVER = 30.0  # seconds that the sentinels may take


@dataclass
class Fault:
    """What a blow did.

    Attributes:
        at: the moment it was done.
        back: the moment what it broke was whole again; None: never, or it broke nothing that needs that.
        pids: the processes that it ended or paused.
        note: what happened beside.
    """

    kind: str
    at: float
    back: float | None = None
    pids: list[int] = field(default_factory=list)
    note: str = ""


class Scene:
    """Workers and a server, and the faults that befall them.

    Args:
        env: of the workers.
        log: the file that the workers write to.
    """

    def __init__(self, backend: Any, env: dict[str, str], log: Path, workers: int) -> None:
        self.backend, self.faults = backend, list[Fault]()
        self.left_by_themselves: list[str] = []
        self._env, self._log = env, log
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._paused: set[int] = set()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._away = False
        self.workers = [self.start() for _ in range(workers)]

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker of two processes, each of two threads and a few async tasks."""
        options = ["-p2", "-t2", "--async-concurrency", "8", "--lease", LEASE, "--grace", "5", "tests.chaos.tasks"]
        command = [sys.executable, "-SE", "-c", LEASH, sys.executable, "-c", command_code("hotqueue-worker"), *map(str, options)]
        with open(self._log, "a") as log:
            return subprocess.Popen(command, env=environment(self._env), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

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
                if worker.returncode != UNREACHABLE:  # a worker that starts without a server gives up, as documented
                    self.left_by_themselves.append(f"worker {worker.pid} ended with {worker.returncode}")
                self.workers[at] = self.start()

    # --- blows ---------------------------------------------------------------------------------------------------

    def strike(self, blow: Blow) -> None:
        """Do what a blow says."""
        getattr(self, f"_{blow.kind.replace(' ', '_')}")(blow)

    def _victim(self, blow: Blow) -> int:
        return int(blow.aim * len(self.workers))

    def _done(self, kind: str, pids: list[int], note: str = "") -> Fault:
        self.faults.append(Fault(kind, time.monotonic(), pids=pids, note=note))
        return self.faults[-1]

    def _kill_a_process(self, blow: Blow) -> None:
        pids = [pid for worker in self.workers for pid in children(worker.pid)]
        if not pids:
            return
        pid = pids[int(blow.aim * len(pids))]
        _send([pid], signal.SIGKILL)
        self._done(blow.kind, [pid])

    def _kill_a_supervisor(self, blow: Blow) -> None:
        self._kill(blow, lambda worker: [worker.pid])

    def _kill_a_whole_worker(self, blow: Blow) -> None:
        self._kill(blow, lambda worker: [worker.pid, *children(worker.pid)])

    def _kill(self, blow: Blow, whom: Callable[[subprocess.Popen[bytes]], list[int]]) -> None:
        at = self._victim(blow)
        worker = self.workers[at]
        family = [worker.pid, *children(worker.pid)]
        pids = whom(worker)
        _send(pids, signal.SIGKILL)
        self._done(blow.kind, family)
        worker.wait()
        if worker.pid in self._paused:
            _send(family, signal.SIGCONT)
        self.workers[at] = self.start()

    def _pause_a_worker(self, blow: Blow) -> None:
        worker = self.workers[self._victim(blow)]
        pids = [worker.pid, *children(worker.pid)]
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

    def _restart(self, at: int) -> None:
        old = self.workers[at]
        self._done("rolling restart", [old.pid, *children(old.pid)])
        if old.poll() is None:
            old.terminate()
        self._leaving.append(old)
        self.workers[at] = self.start()

    def _poison(self, blow: Blow) -> None:
        """Do nothing here: a producer sends it, at its time."""

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
        self.backend.kill(HOW[blow.kind])
        self._away = True
        fault = self._done(blow.kind, [])

        def bring_back() -> None:
            self.backend.revive()
            look()

        def look() -> None:
            if not self.backend.is_whole():
                self._after(0.02, look)
                return
            fault.back = time.monotonic()
            self._away = False

        self._after(blow.lasts if self.backend.has_to_be_revived else 0, bring_back)

    _restart_the_server = _keep_the_server_away = _kill_the_server

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
            time.sleep(max(0.0, min(due - time.monotonic(), 0.1)))
            self.undo()
        self._replace()

    def stop(self) -> list[str]:
        """End every worker, gently if it can be; return what went wrong in that."""
        wrong = []
        for worker in (*self.workers, *self._leaving):
            if worker.poll() is None:
                _send([worker.pid, *children(worker.pid)], signal.SIGCONT)
                worker.terminate()
        until = time.monotonic() + 15
        for worker in (*self.workers, *self._leaving):
            try:
                code = worker.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pids = [worker.pid, *children(worker.pid)]
                wrong.append(f"worker {worker.pid} does not end after TERM")
                _send(pids, signal.SIGKILL)
                worker.wait()
            else:
                if code not in (0, -signal.SIGTERM):  # TERM itself: it had only just begun to start
                    wrong.append(f"worker {worker.pid} ended with {code} after TERM")
        return wrong


def children(pid: int) -> list[int]:
    """Return the worker processes of a supervisor."""
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in found if b"hotqueue.cli.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
