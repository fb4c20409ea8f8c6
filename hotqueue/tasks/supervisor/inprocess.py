"""A worker in this process: `queue.run_worker()`."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hotqueue import presence
from hotqueue.errors import HotQueueError
from hotqueue.hints import check_flag
from hotqueue.runtime import testing_mode
from hotqueue.store.timeouts import PATIENCE
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.client.schedules import Schedules
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main
from hotqueue.tasks.rules.options import whole
from hotqueue.tasks.supervisor.declaring import Declared
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.worker.process import Process

log = logging.getLogger("hotqueue.worker")

TICK = 0.1  # seconds between two looks at what runs here
LEASE_MS = 120_000  # nobody renews it from outside the GIL, so it is long; same-host death is seen by flock all the same


def run_worker(registries: list[Registry], burst: bool, threads: int, async_concurrency: int, max_tasks: int | None) -> int:
    """Run a worker in this process; return how many tasks it brought to an end."""
    check_flag(burst, "run_worker(burst=)")
    for name, number in (("threads", threads), ("async_concurrency", async_concurrency), ("max_tasks", max_tasks)):
        if number is not None or name != "max_tasks":
            whole(number, name, "run_worker()", 1, None)
    if testing_mode.sandbox is not None:
        return _nothing_left(burst)
    process = Process(
        registries,
        threads=threads,
        async_concurrency=async_concurrency,
        is_burst=burst,
        max_tasks=max_tasks,
        lease_ms=LEASE_MS,
        last_wait=PATIENCE,
    )

    if trouble := process.workers[0].presence.trouble:
        log.warning("%s", presence.advice(trouble, LEASE_MS / 1000))

    brokers = [registry.broker for registry in registries]

    def give_up(queue: Broker, lost: str, asked: float) -> None:
        for worker in process.workers:
            if worker.presence.id == lost:
                worker.was_given_up(brokers.index(queue), asked)

    signers = {registry.broker: registry.signer for registry in registries}
    upkeep = Upkeep(brokers, LEASE_MS, give_up=give_up, signer=signers.get, is_burst=burst)
    upkeep.declare({registry.broker: Declared(*Schedules(registry).declared()) for registry in registries})
    if burst:
        with contextlib.suppress(HotQueueError):  # the worker says so
            upkeep.fire()
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_up, args=(process, brokers, upkeep, ended), name="hotqueue-upkeep", daemon=True)
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


def _nothing_left(burst: bool) -> int:
    if not burst:
        raise RuntimeError("run_worker() would wait for ever inside queue.testing(): what is sent there has run already")
    return 0


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


def _keep_up(process: Process, brokers: list[Broker], upkeep: Upkeep, ended: threading.Event) -> None:
    leave_ctrl_c_to_main()
    while not ended.wait(min(TICK, upkeep.until_fire())):
        upkeep.conclude()
        if process.interrupts and not process.stop.is_set():
            log.warning("Ctrl-C: finishing what runs; once more to stop at once")
            process.stop_fetching()
        if process.interrupts > 1:
            process.hurry.set()
        for worker in process.workers:
            upkeep.take_back_if_dragging(worker.presence.id, bytes(worker.running.table), worker.permits)
        upkeep.note_holds(process.marks.take(brokers))
        upkeep.own = [worker.presence.id for worker in process.workers]
        upkeep.begin()  # in threads of their own: Redis may be silent, and Ctrl-C must not wait for it
    upkeep.end_schedules()
    for _ in range(2):  # what is under way, and what is left to be written
        upkeep.wait(1.0)
        upkeep.conclude()
        upkeep.begin()
    upkeep.wait(1.0)
    upkeep.close()
