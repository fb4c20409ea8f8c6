"""`queue.testing()`: tasks run at once and in this process, and nothing leaves it. Why so: docs/decisions/0025.

The envelope, the look at it, the executor, the decision and the action are a worker's; what is missing is Redis, see memory.py.
Sync tasks run in the thread that sends them, or in one of their own where that thread has an event loop; `async def` tasks
all run on one loop in a thread beside. A chain of tasks that send one another goes on in another thread before the stack is full.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Self, TypeVar

from hotqueue.errors import TaskRevoked
from hotqueue.runtime import in_place
from hotqueue.runtime.in_place import Kept
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.context import CleanContext, current_request
from hotqueue.tasks.execution.executor import Call, execute
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.rules.lifecycle import Outcome, State, decide
from hotqueue.tasks.testing.memory import Entry, MemoryBroker, MemoryReplies, Shelf
from hotqueue.tasks.wire import payload, record, settlement
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.prepare import Ready, prepare

F = TypeVar("F", bound=Callable[..., Any])
K = TypeVar("K", bound=Kept)
DEEPEST = 1000  # tasks that send one another
WORKER = "eager"  # what request.worker says

_lock = threading.RLock()
_users = 0


class Eager:
    """Opens the stage: a context manager, sync and async, and a decorator. Blocks may be nested, and overlap: they share it.

    A handle that was made inside still answers after the last block was left.
    """

    def __enter__(self) -> Self:
        global _users
        with _lock:
            _users += 1
            if in_place.stage is None:
                in_place.stage = Stage()
        return self

    def __exit__(self, *exc: object) -> None:
        global _users
        with _lock:
            _users -= 1
            if _users:
                return
            stage, in_place.stage = in_place.stage, None
        assert isinstance(stage, Stage)
        stage.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc: object) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        """Have a function, sync or async, run inside."""

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return awaited if inspect.iscoroutinefunction(function) else called  # type: ignore[return-value]


class Stage:
    """All queues of this process while `queue.testing()` is open; runs what they are sent.

    Attributes:
        originals: id → task whose code goes by value: the code that is here is run, not a copy.
    """

    def __init__(self) -> None:
        self.originals: dict[str, Task[..., Any]] = {}
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._kept: dict[tuple[str, str, type], Any] = {}
        self._running: dict[tuple[str, str], Entry] = {}
        self._loop: EventLoop | None = None
        self._context = CleanContext()
        self._lock = threading.RLock()
        self._is_closed = self._is_interrupted = False

    def broker_of(self, registry: Registry, name: str) -> MemoryBroker:
        """Return the tasks of a queue."""
        return MemoryBroker(self._shelf(registry, name), registry, self, self.originals)

    def replies_of(self, registry: Registry, name: str) -> MemoryReplies:
        """Return where results of a queue are waited for."""
        return MemoryReplies(self._shelf(registry, name), self)

    def kept(self, make: type[K], store: object, name: str) -> K:
        """Return what a queue keeps of this type, made when it is first asked for: the list of its raw messages."""
        with self._lock:
            found = self._kept.get((str(store), name, make))
            if found is None:
                found = self._kept[str(store), name, make] = make()
        return found  # what is kept under a type is of it

    def _shelf(self, registry: Registry, name: str) -> Shelf:
        with self._lock:
            return self._shelves.setdefault((str(registry.store), name), Shelf(name))

    def close(self) -> None:
        """Revoke what waits or runs, so that nobody waits for it, and end the loop."""
        with self._lock:
            self._is_closed = True
            left = [(shelf, entry) for shelf in self._shelves.values() for entry in list(shelf.unfinished.values())]
        for shelf, entry in left:
            self._revoke(shelf, entry, "had not ended when queue.testing() was left")
        if self._loop is not None:
            self._loop.stop()

    def after_fork(self) -> None:
        """In a forked process: the threads are the parent's, that of the loop too, and so is what they hold and run."""
        self._lock, self._loop = threading.RLock(), None
        for shelf in self._shelves.values():
            shelf.lock = threading.RLock()
        for kept in self._kept.values():
            kept.after_fork()

    def _revoke(self, shelf: Shelf, entry: Entry, why: str) -> None:
        """End a task that will not end by itself, so that nobody waits for it."""
        error = payload.dumps_error(TaskRevoked(f"task {entry.id} {why}"))
        signer = entry.registry.result_signer(shelf.name)
        blob = record.encode(State.REVOKED, entry.attempts.retries, int(time.time() * 1000), error, entry.id, signer)
        shelf.carry_out(entry, Settlement(entry.id, 0, "E", blob, 0, ""))
        self._running.pop((shelf.name, entry.id), None)
        self._settle(entry)

    # --- running -------------------------------------------------------------------------------------------------

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

    def run(self, shelf: Shelf, entries: Sequence[Entry]) -> None:
        """Run tasks; return when they have run, and what they sent. On the loop itself: begin them, and do not wait."""
        begun = []
        for entry in self._in_order(shelf, entries):
            if not self._claim(shelf, entry):
                continue
            begun.append(entry)
            if self._go_on(shelf, entry) and not self.is_on_loop:
                entry.settled.result()  # one after the other
        if not self.is_on_loop:
            for entry in begun:
                entry.settled.result()

    async def arun(self, shelf: Shelf, entries: Sequence[Entry]) -> None:
        """Asyncio twin of `run`: the caller's loop turns while they run."""
        begun = []
        for entry in self._in_order(shelf, entries):
            if not self._claim(shelf, entry):
                continue
            begun.append(entry)
            if self._go_on(shelf, entry):
                await _settled(entry)
        for entry in begun:
            await _settled(entry)

    def _in_order(self, shelf: Shelf, entries: Sequence[Entry]) -> list[Entry]:
        if shelf.is_paused:
            return []
        return sorted(entries, key=lambda entry: -entry.envelope[2])  # by priority; equals as they were sent

    def _claim(self, shelf: Shelf, entry: Entry) -> bool:
        """Take a task that waits, to run it; False when another thread did, or revoked it."""
        with self._lock, shelf.lock:
            if entry.running or shelf.unfinished.get(entry.id) is not entry:
                return False
            entry.running = True
            self._running[shelf.name, entry.id] = entry
            if entry.parent is not None:
                entry.parent.open += 1
        return True

    def _go_on(self, shelf: Shelf, entry: Entry) -> bool:
        """Begin a run of a task; tell whether it is one to wait for before the next begins."""
        ready = self._look(shelf, entry)
        if ready.call is not None and ready.call.is_async:
            done = functools.partial(self._ended_on_loop, shelf, entry, ready)
            self._event_loop().start([(ready.call, done)])
            return False
        if _has_loop() or _stack_is_deep():
            threading.Thread(target=self._run_here, args=(shelf, entry, ready), name="hotqueue-testing", daemon=True).start()
        else:
            self._run_here(shelf, entry, ready)
        return True

    def _look(self, shelf: Shelf, entry: Entry) -> Ready:
        """Return what a worker would find that fetches the task when it is due."""
        attempts = entry.attempts.encode().encode()
        delivery = Delivery(entry.id, 0, "s", b"" if entry.attempts == type(entry.attempts)() else attempts, entry.envelope)

        def report(_queue: str, task_id: str, progress: dict[str, Any]) -> None:
            MemoryBroker(shelf, entry.registry, self, self.originals).report(task_id, progress)

        def clock() -> int:
            return max(entry.due, int(time.time() * 1000))

        return prepare(entry.registry, shelf.name, delivery, WORKER, report, clock, entry.original)

    def _run_here(self, shelf: Shelf, entry: Entry, ready: Ready) -> None:
        with self._never_hanging(shelf, entry):
            while True:
                outcome = ready.outcome
                if ready.call is not None:
                    outcome = self._executed(ready.call)
                assert outcome is not None
                if not self._is_to_run_again(shelf, entry, ready, outcome):
                    return
                ready = self._look(shelf, entry)

    def _ended_on_loop(self, shelf: Shelf, entry: Entry, ready: Ready, outcome: Outcome) -> None:
        with self._never_hanging(shelf, entry):
            if self._is_to_run_again(shelf, entry, ready, outcome):
                self._go_on(shelf, entry)

    def _is_to_run_again(self, shelf: Shelf, entry: Entry, ready: Ready, outcome: Outcome) -> bool:
        """Decide what becomes of a task, make it so, and tell whether that is a retry."""
        if self._is_closed:
            return False
        signer, now = entry.registry.result_signer(shelf.name), datetime.now(UTC)
        action = decide(outcome, ready.options.retry_policy, ready.attempts, random=random.random, now=now)
        ms = int(now.timestamp() * 1000)
        told = settlement.wire(action, ready.delivery, ready.attempts, ready.options, ms, signer)
        shelf.carry_out(entry, told)
        if told[2] == "R":
            return True
        self._running.pop((shelf.name, entry.id), None)
        self._settle(entry)
        return False

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
    def _never_hanging(self, shelf: Shelf, entry: Entry) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # Ctrl-C, or a fault of ours
            self._revoke(shelf, entry, f"was interrupted: {error!r:.200}")
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


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    if isinstance(in_place.stage, Stage):
        in_place.stage.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


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
