"""A supervisor's child: import the user's modules, say what they define, run one Process.

Knows no other child.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import logging
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NoReturn

from hotqueue.errors import CannotLoad, HotQueueError
from hotqueue.runtime import descriptors, signal_stack
from hotqueue.store.address import Address
from hotqueue.store.store import Store
from hotqueue.tasks.client.client import Owner
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.execution import forks
from hotqueue.tasks.execution.repairs import Repairs
from hotqueue.tasks.rules import globs
from hotqueue.tasks.rules.tally import KEEP_ENDED
from hotqueue.tasks.worker import orders, process_exit, unknown_queues
from hotqueue.tasks.worker.loading import load
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.queue_making import QueueMaking
from hotqueue.tasks.worker.queue_marks import QueueMarks
from hotqueue.tasks.worker.reporter import EXIT_CRASH, Reporter
from hotqueue.tasks.worker.shared import LEASE_MS

log = logging.getLogger("hotqueue.worker")

EXIT_USAGE, EXIT_LOAD, EXIT_UNREACHABLE = 2, 3, 4
UNKNOWN_QUEUES = "unknown queues"  # in `Settings.said`


@dataclass(frozen=True)
class Suspects:
    """Suspects of one queue, for which a quarantine process is started.

    Attributes:
        queue, store: where they wait.
        width: how many of them may run side by side.
        size: how many there are, but no more than that.
    """

    queue: str
    store: str
    width: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `hotqueue-worker` was told.

    Attributes:
        make_queue: HotQueue, for queues that no module defines.
        queues: names of queues and globs; none: all that the modules define.
        weights: queue or glob → how many turns it has to one of another; 1 for those that are not named.
        keep_ended: how many tasks that have ended can be listed; 0: none.
        code_version: of the user's modules; "": that of their distribution.
        supervisor: the incarnation of the supervisor.
        suspects: what a quarantine process is for; None of a working one.
        said: what need not be said again; a process that is forked later inherits it.
        before_import, after_import: called in each process, around the import of the user's modules.
    """

    make_queue: Callable[..., Owner] = field(repr=False)
    modules: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    address: Address | None = None
    processes: int = 1
    threads: int = 1
    async_concurrency: int = 100
    is_burst: bool = False
    grace: float = 25.0
    max_tasks: int | None = None
    max_memory: int | None = None
    keep_ended: int = KEEP_ENDED
    code_version: str = ""
    name: str = ""
    lease_ms: int = LEASE_MS
    health_port: tuple[str, int] | None = None
    secret_key: str | None = field(default=None, repr=False)
    supervisor: str = ""
    suspects: Suspects | None = None
    said: set[str] = field(default_factory=set, repr=False)
    before_import: Callable[[], None] = field(default=lambda: None, repr=False)
    after_import: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def globs(self) -> list[str]:
        """Those of the names that stand for all queues that match."""
        return [name for name in self.queues if globs.is_glob(name)]

    def for_suspects(self, suspects: Suspects | None) -> Settings:
        """Return those of a quarantine process; of a working one for None."""
        if suspects is None:
            return self
        return replace(self, suspects=suspects, threads=suspects.size, is_burst=True, max_tasks=None, max_memory=None)


@dataclass(frozen=True)
class Pipes:
    """A child's ends: orders from the supervisor, reports to it; and the permit pipes, tables and marks that both hold."""

    control: int
    report: int
    permits: list[tuple[int, int]]
    tables: list[mmap.mmap]
    marks: mmap.mmap


def run(settings: Settings, pipes: Pipes) -> int:
    """Work until told to stop; return the exit code."""
    began = time.monotonic()
    _be_a_child(pipes)
    report = Reporter(pipes.report)
    defined: list[str] = []
    making = QueueMaking(settings.make_queue, _store_of(settings), settings.secret_key)
    try:
        registries = _loaded(settings, defined, making)
        report.hello(registries, making.tasks(), making.stores if settings.globs else [])
        for registry in registries:  # what a web request cannot wait for, a worker can
            registry.store.be_patient()
    except CannotLoad as error:
        report(kind="failed", code=EXIT_LOAD, text=str(error))
        return EXIT_LOAD
    except (HotQueueError, TypeError) as error:
        report(kind="failed", code=EXIT_USAGE, text=str(error))
        return EXIT_USAGE
    process = _process_of(settings, registries, making, pipes, report, time.monotonic() - began)
    may_begin = threading.Event()
    threading.Thread(target=_obey, args=(pipes.control, process, may_begin, making), name="hotqueue-control", daemon=True).start()
    plain = [globs.literal(name) for name in settings.queues if not globs.is_glob(name)]
    unknown = [name for name in plain if name not in defined]
    if unknown and UNKNOWN_QUEUES not in settings.said:  # in a large Redis it takes a while to see what there is
        warning = partial(unknown_queues.warn, unknown, defined, registries)
        threading.Thread(target=warning, name="hotqueue-unknown-queues", daemon=True).start()
    may_begin.wait()  # until the supervisor has found the servers fit: else we would try, and promise, in vain
    if process.stop.is_set():
        process.leave_unbegun()
    else:
        process.run()
    if process.failed:
        return EXIT_CRASH
    report(kind="leaving", reached_limit=process.reached_limit)
    process_exit.run()
    return 0


def _store_of(settings: Settings) -> Store | None:
    return Store(settings.address) if settings.address is not None else None


def _loaded(settings: Settings, defined: list[str], making: QueueMaking) -> list[Registry]:
    """Import the modules; return the queues to work at, and put the names of all that they define into `defined`."""
    settings.before_import()
    try:
        registries = load(settings.modules, settings.queues, making, defined)
    finally:
        settings.after_import()
    return registries if settings.suspects is None else _those_of(settings, settings.suspects, registries, making)


def _those_of(settings: Settings, suspects: Suspects, registries: list[Registry], making: QueueMaking) -> list[Registry]:
    found = [each for each in registries if (each.name, each.store.elsewhere) == (suspects.queue, suspects.store)]
    if not found and globs.first_match(settings.globs, suspects.queue):
        there = [store for store in making.stores if store.elsewhere == suspects.store]
        found = [making.complete(making.make(suspects.queue, store)) for store in there]
    if not found:
        raise CannotLoad(f"the modules define no queue {suspects.queue!r} of {suspects.store} any more")
    return found


def _process_of(
    settings: Settings, registries: list[Registry], making: QueueMaking, pipes: Pipes, report: Reporter, load_time: float
) -> Process:
    return Process(
        registries,
        name=settings.name,
        threads=settings.threads,
        async_concurrency=settings.async_concurrency,
        is_burst=settings.is_burst,
        max_tasks=settings.max_tasks,
        max_memory=settings.max_memory,
        lease_ms=settings.lease_ms,
        pipes=pipes.permits,
        tables=pipes.tables,
        repairs=Repairs([pipes.control, pipes.report, *(fd for pair in pipes.permits for fd in pair)]),
        announce=report.worker,
        notify=lambda what: report(kind=what),
        load_time=load_time,
        weights=settings.weights,
        late_stores=making.stores if settings.globs and settings.suspects is None else (),
        left=report.left,
        supervisor=settings.supervisor,
        width=0 if settings.suspects is None else settings.suspects.width,
        marks=QueueMarks(pipes.marks),
    )


def _be_a_child(pipes: Pipes) -> None:
    forks.leave_signals_to_supervisor()
    forks.end_input_in_background()
    forks.close_in_children([pipes.control, pipes.report, *(fd for pair in pipes.permits for fd in pair)])
    process_exit.forget_inherited()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    faulthandler.enable(2)  # not sys.stderr, which may be closed, or none
    faulthandler.register(signal.SIGUSR1, 2, all_threads=True)
    signal_stack.enlarge()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a task prints is there, and fails, while it runs
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _obey(control: int, process: Process, may_begin: threading.Event, making: QueueMaking) -> None:
    """Follow the supervisor's orders; its death is the order to die."""
    try:
        for order in orders.received(control):
            if order == orders.GO:
                may_begin.set()
            elif order == orders.STOP:
                process.stop_fetching()
                may_begin.set()
            elif isinstance(order, orders.GiveUp):
                process.workers[order.worker].was_given_up(order.queue, order.asked)
            elif isinstance(order, orders.Adopt):
                process.adopt(order.queue, making.complete(making.make(order.name, making.stores[order.store])))
            elif isinstance(order, orders.LetGo):
                process.let_go(order.queue, order.order)
    except EOFError:
        pass
    os._exit(EXIT_CRASH)


def fork(settings: Settings, pipes: Pipes, close: Callable[[], None]) -> int:
    """Fork a child; return its pid.

    Args:
        close: closes, in the child, what belongs to the supervisor.
    """
    _flush()  # what is in a buffer now would be written by both
    pid = os.fork()
    if pid:
        return pid
    code = EXIT_CRASH
    try:
        close()
        code = run(settings, pipes)
    except BaseException as error:
        if shortage := descriptors.shortage(error):
            log.error("worker process %d failed: %s", os.getpid(), shortage)
        else:
            log.exception("worker process %d failed", os.getpid())
    finally:
        _end(code)


def _end(code: int) -> NoReturn:
    """End this process, whatever its last output meets: it must not get back into the frames of its supervisor."""
    try:
        with contextlib.suppress(BaseException):
            logging.shutdown()
        _flush()
    finally:
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # it is closed, full, broken or None, or what a task has put there
            stream.flush()
