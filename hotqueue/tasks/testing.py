"""Tasks without a worker process: eager mode, a worker in this process, and hooks that make faults."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType, TracebackType
from typing import Any

from hotqueue.connection import PATIENCE
from hotqueue.hints import check_flag
from hotqueue.tasks import envelope, payload
from hotqueue.tasks.attempts import Attempts
from hotqueue.tasks.context import Request
from hotqueue.tasks.errands import Errands
from hotqueue.tasks.executor import Call, EventLoop, execute
from hotqueue.tasks.lifecycle import Do, Outcome, State, decide
from hotqueue.tasks.limits import leave_ctrl_c_to_main
from hotqueue.tasks.maintenance import Upkeep
from hotqueue.tasks.options import TaskOptions, whole
from hotqueue.tasks.process import Process
from hotqueue.tasks.record import Record
from hotqueue.tasks.registry import Registry
from hotqueue.tasks.result import AsyncResult
from hotqueue.tasks.task import Task

log = logging.getLogger("hotqueue.worker")

TICK = 0.1  # seconds between two looks at what runs here
LEASE_MS = 120_000  # nobody renews it from outside the GIL, so it is long; same-host death is seen by flock all the same


def run_worker(registries: list[Registry], burst: bool, threads: int, async_concurrency: int, max_tasks: int | None) -> int:
    """Run a worker in this process; return how many tasks it brought to an end."""
    check_flag(burst, "run_worker(burst=)")
    for name, number in (("threads", threads), ("async_concurrency", async_concurrency), ("max_tasks", max_tasks)):
        if number is not None or name != "max_tasks":
            whole(number, name, "run_worker()", 1, None)
    process = Process(
        registries,
        threads=threads,
        async_concurrency=async_concurrency,
        is_burst=burst,
        max_tasks=max_tasks,
        lease_ms=LEASE_MS,
        last_wait=PATIENCE,
    )

    def give_up(lost: str) -> None:
        for worker in process.workers:
            if worker.presence.id == lost:
                worker.give_up_running()

    upkeep = Upkeep([registry.broker for registry in registries], LEASE_MS, give_up=give_up)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_up, args=(process, upkeep, ended), name="hotqueue-upkeep", daemon=True)
    keeper.start()
    try:
        with _ctrl_c(process):
            process.run()
    except KeyboardInterrupt:
        process.stop_fetching()
    finally:
        ended.set()
        keeper.join()
    return process.done["succeeded"] + process.done["bury"] + process.done["forget"] + process.done["end"]


@contextmanager
def _ctrl_c(process: Process) -> Iterator[None]:
    """Take Ctrl-C as an order to finish and leave, unless the program has a handler of its own; a second one as Ctrl-C.

    The handler only counts: whatever it interrupts may hold a lock. `_keep_up` does the rest.
    """

    def count(_signal: int, _frame: FrameType | None) -> None:
        process.interrupts += 1
        if process.interrupts > 1:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, count)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_up(process: Process, upkeep: Upkeep, ended: threading.Event) -> None:
    leave_ctrl_c_to_main()
    errands = Errands(lambda: None)  # Redis may be silent, and Ctrl-C must not wait for it
    while not ended.wait(TICK):
        errands.conclude()
        if process.interrupts and not process.stop.is_set():
            log.warning("Ctrl-C: finishing what runs; once more to stop at once")
            process.stop_fetching()
        if process.interrupts > 1:
            process.hurry.set()
        for worker in process.workers:
            upkeep.take_back_if_dragging(worker.presence.id, bytes(worker.presence.state or b""), worker.permits)
        if errands.is_free and upkeep.is_due:
            upkeep.own = [worker.presence.id for worker in process.workers]
            errands.begin(upkeep.beat)
    errands.wait(1.0)


class Eager:
    """Runs tasks at once in `delay`, in this process; arguments and results still go through pickle, retries do not wait."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loop: EventLoop | None = None

    def __enter__(self) -> Eager:
        self._registry.eager = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._registry.eager = None
        if self._loop is not None:
            self._loop.stop()
            self._loop = None

    def run(
        self,
        task: Task[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        task_id: str | None = None,
        options: TaskOptions | None = None,
        more: dict[str, Any] | None = None,
    ) -> AsyncResult[Any]:
        """Run a call as a worker would, retries included; return the handle to its result."""
        options = options or task.options
        task_id = task_id or os.urandom(16).hex()
        data = task._encode(task_id, tuple(args), kwargs, options, self._registry.name, more)
        found = envelope.decode(data, self._registry.signer)
        attempts = Attempts()
        while True:
            outcome = self._run_once(task, found, attempts, options)
            now = datetime.now(UTC)
            action = decide(outcome, options.retry_policy, attempts, random=random.random, now=now)
            if action.do is not Do.RETRY:
                return AsyncResult(task_id, self._registry, None, _record(action, attempts, options))
            attempts = attempts.after_retry(None)

    def _run_once(self, task: Task[..., Any], found: envelope.Envelope, attempts: Attempts, options: TaskOptions) -> Outcome:
        def load() -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
            data = payload.split_by_value(found.payload)[1] if found.by_value else found.payload
            args, kwargs = payload.loads(data)
            return task.__wrapped__, ((task, *args) if options.bind else args), kwargs

        request = Request(found, attempts, self._registry.name, "eager")
        call = Call(task.name, load, request, task.is_async, options.soft_time_limit, not options.ignore_result)
        if not call.is_async:
            return execute(call)
        self._loop = self._loop or EventLoop()
        return self._loop.run(call)


def _record(action: Any, attempts: Attempts, options: TaskOptions) -> Record:
    state = action.state or State.SUCCESS
    now = int(time.time() * 1000)
    if action.do in (Do.SUCCEED, Do.FORGET):
        return Record(State.SUCCESS, attempts.retries, now, action.payload or payload.dumps(None))
    return Record(state, attempts.retries, now, action.error_payload or payload.dumps_error(action.error))
