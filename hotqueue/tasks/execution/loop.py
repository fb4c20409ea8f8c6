"""The event loop of a worker process: runs calls of `async def` tasks, and awaits what other tasks only made.

Fetches nothing, tells nothing: each call's `done` gets its outcome.
"""

from __future__ import annotations

import asyncio
import os
import threading
import types
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from hotqueue.errors import HotQueueError, LeaseLost, SoftTimeLimitExceeded
from hotqueue.tasks.context import begun_resuming, request_var
from hotqueue.tasks.execution import forks
from hotqueue.tasks.execution.executor import Call, begun, outcome_of, value_of
from hotqueue.tasks.execution.soft_limit import allow_ctrl_c
from hotqueue.tasks.execution.streaming import adrain
from hotqueue.tasks.execution.tracebacks import let_go
from hotqueue.tasks.rules.callables import is_awaitable
from hotqueue.tasks.rules.lifecycle import Ended, Outcome

Check = Callable[[Callable[[], str]], None]


@dataclass(eq=False)
class _Running:
    call: Call
    done: Callable[[Outcome], None]
    context: Context
    limit: float | None  # seconds
    why: str = ""  # what its cancellation means: "limit", "lost" or ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class EventLoop:
    """The one event loop of a worker process, in a thread of its own; started by the first call that needs it.

    Args:
        fresh: returns the context that a call begins with.
        check: called before it is told which calls ended in one turn of the loop, with a function that returns their names; does
            not return where they have broken this process.
    """

    def __init__(self, fresh: Callable[[], Context] = copy_context, check: Check | None = None) -> None:
        self._fresh = fresh
        self._check = check
        self._loop = _new_loop()
        self._is_opaque = not hasattr(self._loop, "_ready")  # uvloop's
        self._running: set[_Running] = set()
        self._ended: list[tuple[_Running, Outcome]] = []  # in this turn of the loop
        self._thread = threading.Thread(target=self._run, name="hotqueue-event-loop", daemon=True)
        self._forks = forks.count
        self._forker: asyncio.Task[Any] | None = None  # in a forked process: what forked
        _loops.add(self)
        self._thread.start()

    def _run(self) -> None:
        """Run until stopped: a SystemExit in an asyncio task that a task started comes out of here, and is not for us."""
        allow_ctrl_c()
        while True:
            try:
                self._loop.run_forever()
                if forks.count != self._forks:  # uvloop just leaves, in a forked process
                    _end_stray(self._forker)
                return
            except (SystemExit, KeyboardInterrupt) as error:
                forks.leave_if_forked(self._forks, error)
            except BaseException as error:
                forks.leave_if_forked(self._forks, error)
                if self._check is not None:
                    self._check(self._culprits)
                raise

    def start(self, calls: list[tuple[Call, Callable[[Outcome], None]]]) -> None:
        """Start calls together; each one's `done` is called in the loop's thread with its outcome."""
        batch = [_Running(call, done, self._fresh(), call.soft_time_limit) for call, done in calls]
        self._loop.call_soon_threadsafe(self._begin, batch)

    def run(self, call: Call, context: Context, limit: float | None) -> Outcome:
        """Run one call and wait for it, from another thread.

        Args:
            context: what it runs in.
            limit: seconds that are left of its soft limit.
        """
        ended = threading.Event()
        box: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            box.append(outcome)
            ended.set()

        running = _Running(call, done, context, limit)
        self._loop.call_soon_threadsafe(self._begin, [running])
        try:
            ended.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(self._cancel, running, "stop")
            raise
        return box[0]

    @property
    def is_here(self) -> bool:
        """True in the loop's own thread."""
        return threading.current_thread() is self._thread

    def give_up(self, calls: list[Call]) -> None:
        """Cancel calls that run: other workers have these tasks now."""
        self._loop.call_soon_threadsafe(self._cancel_all, "lost", calls)

    def stop(self, farewells: Iterable[Callable[[], Coroutine[Any, Any, None]]] = ()) -> None:
        """Cancel everything, run `farewells` and end the loop."""
        self._loop.call_soon_threadsafe(self._cancel_all, "stop")
        asyncio.run_coroutine_threadsafe(self._end(farewells), self._loop)
        self._thread.join(2)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self, farewells: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        try:
            for farewell in farewells:
                await farewell()
        finally:
            self._loop.call_later(0.05 if self._running else 0, self._loop.stop)

    def _cancel_all(self, why: str, calls: list[Call] | None = None) -> None:
        for running in list(self._running):
            if calls is not None and not any(running.call is call for call in calls):
                continue
            running.why = why
            running.call.request.lost = why == "lost"
            if running.task is not None:
                running.task.cancel()

    def _begin(self, batch: list[_Running]) -> None:
        for running in batch:
            self._running.add(running)
            running.task = self._loop.create_task(self._execute(running), context=running.context)
        self._loop.call_soon(self._end_unbegun, batch)  # behind the first turn of each

    def _end_unbegun(self, batch: list[_Running]) -> None:
        """End calls that were cancelled before their first turn: none of their code ran, so that they cannot say it themselves.

        By `give_up` that came at once, or by a task that cancels whatever else is on the loop.
        """
        for running in batch:
            if running in self._running and running.task is not None and running.task.done():
                self._running.discard(running)
                self._end_call(running, Outcome(Ended.INTERRUPTED))

    async def _execute(self, running: _Running) -> None:
        call = running.call
        self._refuse_to_go_on()
        request_var.set(call.request)  # in a context of its own
        timer = None
        if running.limit is not None:
            timer = self._loop.call_later(running.limit, self._cancel, running, "limit")
        try:
            value = begun(call)
            while is_awaitable(value):  # also what an `async def` only made, where its author forgot an `await`
                value = await (self._turns(value) if self._is_opaque and isinstance(value, types.CoroutineType) else value)
            if call.outlet is not None and isinstance(value, AsyncGenerator):
                streamed = adrain(value, call.outlet())
                value = await (self._turns(streamed) if self._is_opaque else streamed)
            forks.leave_if_forked(self._forks)
            outcome = value_of(call, value)
        except BaseException as error:
            forks.leave_if_forked(self._forks, error)
            if (resuming := begun_resuming(call.request)) is not None:
                await resuming.aleave()
            outcome = outcome_of(_meaning(error, running), call.is_misfit, call)
            if running.why == "lost":  # whoever said so may have been late, and the task be ours again: it has not failed
                outcome.ended = Ended.INTERRUPTED
            let_go(error)
        finally:
            if timer is not None:
                timer.cancel()
            self._running.discard(running)
        self._end_call(running, outcome)

    def _end_call(self, running: _Running, outcome: Outcome) -> None:
        self._ended.append((running, outcome))
        if len(self._ended) == 1:
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        """Tell what ended in this turn of the loop: one look at what they may have broken does for all of them."""
        if self._check is not None:
            self._check(self._culprits)
        ended, self._ended = self._ended, []
        for running, outcome in ended:
            running.done(outcome)

    def _culprits(self) -> str:
        return " or ".join(sorted({running.call.name for running, _ in self._ended})[:5]) or "a task"

    def _cancel(self, running: _Running, why: str) -> None:
        running.why = why
        if running.task is not None:
            running.task.cancel()

    # --- forks ---------------------------------------------------------------------------------------------------

    def after_fork(self) -> None:
        """In a process that was forked in this loop's thread: end it as soon as whatever forked comes back to the loop.

        What else was about to run here runs in the parent.
        """
        if threading.get_ident() != self._thread.ident:
            return
        if not self._is_opaque:
            ready = self._loop._ready  # type: ignore[attr-defined]
            self._of_parent = list(ready)  # kept: what is thrown away unfinished complains
            ready.clear()
        self._forker = asyncio.current_task(self._loop)
        self._loop.call_soon(_end_stray, self._forker)

    def _refuse_to_go_on(self) -> None:
        """Called before each turn of a call: in a forked process it is the parent's."""
        if forks.count != self._forks:
            _end_stray(self._forker)

    @types.coroutine
    def _turns(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Await a coroutine, with a look before each of its turns: for a loop that does not show what it is about to run.

        A generator, as every task passes here: an object with methods takes three times as long.
        """
        go_on, given = coroutine.send, None
        while True:
            self._refuse_to_go_on()
            try:
                awaited = go_on(given)
            except StopIteration as end:
                return end.value
            try:
                go_on, given = coroutine.send, (yield awaited)
            except BaseException as error:
                go_on, given = coroutine.throw, error


def _end_stray(task: asyncio.Task[Any] | None) -> None:
    """End a forked process whose asyncio task has come back to the event loop."""
    error: BaseException | None = None
    if task is not None and not task.done():
        error = RuntimeError("a process that a task forked cannot await anything in its worker's event loop; it ends here")
    elif task is not None and not task.cancelled():
        error = task.exception()
    forks.leave(error)


_loops: weakref.WeakSet[EventLoop] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for loop in list(_loops):
        loop.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _meaning(error: BaseException, running: _Running) -> BaseException:
    """Return what a cancellation of ours stands for; a task's own CancelledError stays what it is."""
    if not issubclass(type(error), asyncio.CancelledError) or not running.why:
        return error
    found: HotQueueError
    if running.why == "limit":
        found = SoftTimeLimitExceeded(f"{running.call.name} ran longer than soft_time_limit={running.call.soft_time_limit} s")
    else:
        found = LeaseLost(f"{running.call.name} was given up here; another worker runs it")
    return found.with_traceback(error.__traceback__)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
