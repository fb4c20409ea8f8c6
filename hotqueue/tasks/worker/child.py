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
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

from hotqueue.errors import CannotLoad, HotQueueError
from hotqueue.runtime import descriptors
from hotqueue.store.address import Address
from hotqueue.store.store import Store
from hotqueue.tasks.client.client import Owner
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.execution import forks
from hotqueue.tasks.execution.repairs import Repairs
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker import process_exit, unknown_queues
from hotqueue.tasks.worker.loading import load
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.shared import LEASE_MS, Member

log = logging.getLogger("hotqueue.worker")

EXIT_CRASH, EXIT_USAGE, EXIT_LOAD, EXIT_UNREACHABLE = 1, 2, 3, 4
UNKNOWN_QUEUES = "unknown queues"  # in `Settings.said`
GO, STOP, GIVE_UP = b"r", b"s", b"g"  # orders; LOST follows the last
LOST = struct.Struct("<HH")  # number of the worker, number of the queue


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
        weights: queue → how many turns it has to one of another; 1 for those that are not named.
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
    name: str = ""
    lease_ms: int = LEASE_MS
    health_port: tuple[str, int] | None = None
    secret_key: str | None = field(default=None, repr=False)
    supervisor: str = ""
    suspects: Suspects | None = None
    said: set[str] = field(default_factory=set, repr=False)
    before_import: Callable[[], None] = field(default=lambda: None, repr=False)
    after_import: Callable[[], None] = field(default=lambda: None, repr=False)

    def for_suspects(self, suspects: Suspects | None) -> Settings:
        """Return those of a quarantine process; of a working one for None."""
        if suspects is None:
            return self
        return replace(self, suspects=suspects, threads=suspects.size, is_burst=True, max_tasks=None, max_memory=None)


@dataclass(frozen=True)
class Pipes:
    """A child's ends: orders from the supervisor, reports to it; and the permit pipes and tables that both hold."""

    control: int
    report: int
    permits: list[tuple[int, int]]
    tables: list[mmap.mmap]


def run(settings: Settings, pipes: Pipes) -> int:
    """Work until told to stop; return the exit code."""
    began = time.monotonic()
    _be_a_child(pipes)
    report = _Reporter(pipes.report)
    defined: list[str] = []
    try:
        registries = _loaded(settings, defined)
        report.hello(registries)
        for registry in registries:  # what a web request cannot wait for, a worker can
            registry.store.be_patient()
    except CannotLoad as error:
        report(kind="failed", code=EXIT_LOAD, text=str(error))
        return EXIT_LOAD
    except (HotQueueError, TypeError) as error:
        report(kind="failed", code=EXIT_USAGE, text=str(error))
        return EXIT_USAGE
    process = _process_of(settings, registries, pipes, report, time.monotonic() - began)
    may_begin = threading.Event()
    threading.Thread(target=_obey, args=(pipes.control, process, may_begin), name="hotqueue-control", daemon=True).start()
    unknown = [name for name in settings.queues if name not in defined]
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


def _loaded(settings: Settings, defined: list[str]) -> list[Registry]:
    """Import the modules; return the queues to work at, and put the names of all that they define into `defined`."""
    store = Store(settings.address) if settings.address is not None else None
    settings.before_import()
    try:
        registries = load(settings.modules, settings.queues, store, settings.make_queue, settings.secret_key, defined)
    finally:
        settings.after_import()
    return registries if settings.suspects is None else _those_of(settings.suspects, registries)


def _those_of(suspects: Suspects, registries: list[Registry]) -> list[Registry]:
    found = [each for each in registries if (each.name, each.store.elsewhere) == (suspects.queue, suspects.store)]
    if not found:
        raise CannotLoad(f"the modules define no queue {suspects.queue!r} of {suspects.store} any more")
    return found


def _process_of(settings: Settings, registries: list[Registry], pipes: Pipes, report: _Reporter, load_time: float) -> Process:
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
        supervisor=settings.supervisor,
        width=0 if settings.suspects is None else settings.suspects.width,
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
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a task prints is there, and fails, while it runs
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _obey(control: int, process: Process, may_begin: threading.Event) -> None:
    """Follow the supervisor's orders; its death is the order to die."""
    while True:
        order = os.read(control, 1)
        if not order:
            os._exit(EXIT_CRASH)
        if order == GO:
            may_begin.set()
        elif order == STOP:
            process.stop_fetching()
            may_begin.set()
        elif order == GIVE_UP:
            number, queue = LOST.unpack(os.read(control, LOST.size))
            process.workers[number].give_up_running_of(queue)


class _Reporter:
    """Says things to the supervisor: a length, then a dict."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def __call__(self, **facts: Any) -> None:
        data = payload.dumps(facts)
        try:
            with self._lock:
                os.write(self._fd, len(data).to_bytes(4, "big") + data)
        except BrokenPipeError:  # the supervisor died before we asked the kernel to end us with it
            os._exit(EXIT_CRASH)

    def hello(self, registries: list[Registry]) -> None:
        """Say which queues and tasks there are, and where, so that the supervisor need not import them."""
        queues = [(registry.name, registry.store) for registry in registries]
        tasks = sorted({name for registry in registries for name in registry.tasks})
        self(kind="hello", queues=payload.dumps(queues), tasks=tasks)

    def worker(self, worker: Member, slot: int) -> None:
        """Say under which incarnation a worker works."""
        here = worker.presence
        self(kind="worker", slot=slot, worker=here.id, folder=here.folder, trouble=here.trouble, sort=worker.kind)


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
