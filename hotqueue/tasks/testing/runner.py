"""Runs the tasks that are sent inside `queue.testing()`, in this process.

The envelope, the look at it, the executor, the decision and the settlement are a worker's; instead of Redis there is `storage`.
Sync tasks run in the thread that sends them, or in one of their own where that thread has an event loop; `async def` tasks
all run on one loop in a thread beside. A chain of tasks that send one another goes on in another thread before the stack is full.
"""

from __future__ import annotations

import asyncio
import functools
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime
from types import FrameType

from hotqueue.errors import TaskRevoked
from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.context import current_request
from hotqueue.tasks.execution.clean_context import CleanContext
from hotqueue.tasks.execution.executor import Call, execute
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.rules.lifecycle import Outcome, State, decide
from hotqueue.tasks.testing.backing import MemoryBacking
from hotqueue.tasks.testing.steps import Steps, inputs
from hotqueue.tasks.testing.storage import Entry, Storage
from hotqueue.tasks.testing.streams import MemoryChannel
from hotqueue.tasks.testing.unique_keys import UniqueKeys
from hotqueue.tasks.wire import payload, record, settlement
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.prepare import Ready, prepare

DEEPEST = 1000  # tasks that send one another
WORKER = "eager"  # what request.worker says


class Runner:
    """Runs tasks as soon as they are sent.

    1. `adopt` notes who sent a task.
    2. `run` and `arun` claim those that wait, by priority: each is run by one thread.
    3. Each is looked at as a worker does that has fetched it, and begun: in this thread, in another, or on the loop.
    4. What came of it is decided upon, and its storage carries that out: the task has ended, or goes back to step 3.
    5. When it has ended, and all that it sent, whoever waits for it goes on.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], Entry] = {}
        self._loop: EventLoop | None = None
        self._context = CleanContext()
        self._lock = threading.RLock()
        self._is_closed = self._is_interrupted = False

    def refuse(self) -> None:
        """Begin nothing any more, and make nothing so that ends from now on."""
        with self._lock:
            self._is_closed = True

    def stop(self) -> None:
        """End the loop."""
        if self._loop is not None:
            self._loop.stop()

    def after_fork(self) -> None:
        """In a forked process: the threads are the parent's, that of the loop too, and so is what they hold and run."""
        self._lock, self._loop = threading.RLock(), None

    def revoke(self, storage: Storage, entry: Entry, why: str) -> None:
        """End a task that will not end by itself, so that nobody waits for it."""
        error = payload.dumps_error(TaskRevoked(f"task {entry.id} {why}"))
        signer = entry.registry.result_signer(storage.name)
        blob = record.encode(State.REVOKED, entry.history.retries, int(time.time() * 1000), error, entry.id, signer)
        storage.carry_out(entry, Settlement(entry.id, 0, "E", blob, 0, ""))
        self._running.pop((storage.name, entry.id), None)
        self._settle(entry)

    @property
    def is_on_loop(self) -> bool:
        """True in the thread of the loop that `async def` tasks run on."""
        return self._loop is not None and self._loop.is_here

    def adopt(self, entry: Entry) -> None:
        """Note who sent a task.

        Raises:
            RecursionError: they are too many, each sent by the one before.
        """
        request = current_request()
        entry.parent = self._running.get((request.queue, request.id)) if request is not None else None
        entry.depth = 0 if entry.parent is None else entry.parent.depth + 1
        if entry.depth > DEEPEST:
            raise RecursionError(
                f"{DEEPEST} tasks, each sent by the one before: inside queue.testing() a task runs as soon as it is sent, so one "
                "that sends itself again never ends; have the test pause the queue, or the task stop"
            )

    def run(self, storage: Storage, entries: Sequence[Entry]) -> None:
        """Run tasks; return when they have run, and what they sent. On the loop itself: begin them, and do not wait."""
        begun = []
        for entry in self._in_order(storage, entries):
            if not self._claim(storage, entry):
                continue
            begun.append(entry)
            if self._go_on(storage, entry) and not self.is_on_loop:
                entry.settled.result()  # one after the other
        if not self.is_on_loop:
            for entry in begun:
                entry.settled.result()

    async def arun(self, storage: Storage, entries: Sequence[Entry]) -> None:
        """Asyncio twin of `run`: the caller's loop turns while they run."""
        begun = []
        for entry in self._in_order(storage, entries):
            if not self._claim(storage, entry):
                continue
            begun.append(entry)
            if self._go_on(storage, entry):
                await _settled(entry)
        for entry in begun:
            await _settled(entry)

    def _in_order(self, storage: Storage, entries: Sequence[Entry]) -> list[Entry]:
        with storage.lock:
            wanted = [entry for entry in entries if entry.step is None or UniqueKeys(storage).begin(entry)]
        wanted = [entry for entry in wanted if not storage.keeps(entry)]
        return sorted(wanted, key=lambda entry: -entry.envelope[2])  # by priority; equals as they were sent

    def _claim(self, storage: Storage, entry: Entry) -> bool:
        """Take a task that waits, to run it; False when another thread did, or revoked it."""
        with self._lock, storage.lock:
            if entry.running or entry.waits or entry.history.need == BEHIND or storage.unfinished.get(entry.id) is not entry:
                return False
            entry.running = True
            self._running[storage.name, entry.id] = entry
            if entry.parent is not None:
                entry.parent.open += 1
        return True

    def _go_on(self, storage: Storage, entry: Entry) -> bool:
        """Begin a run of a task; tell whether it is one to wait for before the next begins."""
        ready = self._prepared(storage, entry)
        if ready.call is not None and ready.call.is_async:
            done = functools.partial(self._ended_on_loop, storage, entry, ready)
            self._event_loop().start([(ready.call, done)])
            return False
        if _has_loop() or _stack_is_deep():
            threading.Thread(target=self._run_here, args=(storage, entry, ready), name="hotqueue-testing", daemon=True).start()
        else:
            self._run_here(storage, entry, ready)
        return True

    def _prepared(self, storage: Storage, entry: Entry) -> Ready:
        """Return what a worker would find that fetches the task when it is due."""
        history = entry.history.encode().encode()
        delivery = Delivery(entry.id, 0, "s", b"" if entry.history == type(entry.history)() else history, entry.envelope)

        def clock() -> int:
            return max(entry.due, int(time.time() * 1000))

        queue = storage.name if entry.step is None else entry.step.queue
        delivery.inputs = inputs(storage, entry)
        backing = MemoryBacking(storage, entry)
        ready = prepare(entry.registry, queue, delivery, WORKER, MemoryChannel(storage, entry), clock, entry.original, backing)
        if ready.call is not None and Steps(storage).is_to_be_kept(entry):
            ready.call.keeps_result = True
        return ready

    def _run_here(self, storage: Storage, entry: Entry, ready: Ready) -> None:
        with self._never_hanging(storage, entry):
            while True:
                outcome = ready.outcome
                if ready.call is not None:
                    outcome = self._executed(ready.call)
                assert outcome is not None
                if not self._is_to_run_again(storage, entry, ready, outcome):
                    return
                ready = self._prepared(storage, entry)

    def _ended_on_loop(self, storage: Storage, entry: Entry, ready: Ready, outcome: Outcome) -> None:
        with self._never_hanging(storage, entry):
            if self._is_to_run_again(storage, entry, ready, outcome):
                self._go_on(storage, entry)

    def _is_to_run_again(self, storage: Storage, entry: Entry, ready: Ready, outcome: Outcome) -> bool:
        """Decide what becomes of a task, make it so, and tell whether that is a retry."""
        if self._is_closed:
            return False
        signer, now = entry.registry.result_signer(storage.name), datetime.now(UTC)
        action = decide(outcome, ready.options.retry_policy, ready.history, random=random.random, now=now)
        ms = int(now.timestamp() * 1000)
        settled = settlement.of(action, ready.delivery, ready.past, ready.options, ms, signer)
        storage.carry_out(entry, settled)
        if settled.code == "R":
            return True
        if settled.code == "N":
            return self._is_to_run_in_its_place(storage, entry, settled.blob)
        self._running.pop((storage.name, entry.id), None)
        if settled.code != "K":
            self._go_on_with(storage, entry)
        self._settle(entry)
        if (follower := None if settled.code == "K" else storage.follower(entry)) is not None:
            self.run(storage, [follower])
        return False

    def _is_to_run_in_its_place(self, storage: Storage, entry: Entry, data: bytes | str) -> bool:
        """Put a plan in the place of a task; tell whether that is one call, to run next: else what may run of it has run."""
        free = Steps(storage).replace(entry, data)
        if free == [entry]:
            return True
        self._running.pop((storage.name, entry.id), None)
        self.run(storage, free)
        self._settle(entry)
        return False

    def _go_on_with(self, storage: Storage, entry: Entry) -> None:
        """Run the steps that waited for a task which has ended; whoever waits for it waits for these as well."""
        free = Steps(storage).after(entry.id)
        for step in free:
            step.parent, step.depth = entry, entry.depth
        if free:
            self.run(storage, free)

    def _settle(self, entry: Entry) -> None:
        """Note that a task has ended, or one that it sent: when both are over, whoever waits for it goes on."""
        found: Entry | None = entry
        while found is not None:
            with self._lock:
                found.open -= 1
                if found.open or found.settled.done():
                    return
                found.settled.set_result(None)
                found = found.parent

    @contextmanager
    def _never_hanging(self, storage: Storage, entry: Entry) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # Ctrl-C, or a fault of ours
            self.revoke(storage, entry, f"was interrupted: {error!r:.200}")
            raise

    def _executed(self, call: Call) -> Outcome:
        """Run a sync call in a context of its own, as a worker does; Ctrl-C is the program's, and no failure of the task."""
        with self._ctrl_c():
            outcome = execute(call, self._context.fresh(), self._run_in_loop)
            if self._is_interrupted:
                raise KeyboardInterrupt
        return outcome

    @contextmanager
    def _ctrl_c(self) -> Iterator[None]:
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield  # the program's own, or ours, around the task that sent this one
            return

        def note(_signal: int, _frame: FrameType | None) -> None:
            self._is_interrupted = True
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            self._is_interrupted = False
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _event_loop(self) -> EventLoop:
        with self._lock:
            self._loop = self._loop or EventLoop(self._context.fresh)
            return self._loop

    def _run_in_loop(self, call: Call, context: Context, limit: float | None) -> Outcome:
        return self._event_loop().run(call, context, limit)


async def _settled(entry: Entry) -> None:
    await asyncio.shield(asyncio.wrap_future(entry.settled))


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _stack_is_deep() -> bool:
    """Tell whether half of the stack that Python allows is in use."""
    frame, left = sys._getframe(), sys.getrecursionlimit() // 2
    while frame.f_back is not None and left:
        frame, left = frame.f_back, left - 1
    return not left
