"""Run one envelope's function under its limits → Outcome. Writes nothing, decides nothing.

Whatever a task raises is the task's failure: SystemExit, KeyboardInterrupt and GeneratorExit included. Real signals are
the supervisor's affair; a worker process ignores them.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from hotqueue.errors import HotQueueError, Ignore, LeaseLost, Reject, Retry, SerializationError, SoftTimeLimitExceeded
from hotqueue.tasks import exceptions, payload
from hotqueue.tasks.context import Request, _request
from hotqueue.tasks.lifecycle import Ended, Outcome, rejected
from hotqueue.tasks.limits import soft_limit
from hotqueue.tasks.options import instant_ms, seconds, whole

OUR_FRAMES = 2  # of a traceback, at its outer end


@dataclass(slots=True)
class Call:
    """A call, ready to run.

    Attributes:
        load: returns (function, args, kwargs); unpickling runs user code, so it happens under the task's limits.
        is_misfit: True once it was found that the arguments are not such as the function takes.
    """

    name: str
    load: Callable[[], tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]
    request: Request
    is_async: bool = False
    soft_time_limit: float | None = None
    keeps_result: bool = True
    is_misfit: bool = False


def execute(call: Call) -> Outcome:
    """Run a sync call here and now."""
    token = _request.set(call.request)
    try:
        if call.soft_time_limit is None:
            return _value(call, _begun(call))
        with soft_limit(call.soft_time_limit, call.name):
            return _value(call, _begun(call))
    except BaseException as error:
        return outcome_of(error, call.is_misfit)
    finally:
        _request.reset(token)


def _begun(call: Call) -> Any:
    """Call the function: the value of a sync one, the coroutine of an async one."""
    function, args, kwargs = call.load()
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        _check_fit(call, error, function, args, kwargs)
        raise


def _check_fit(call: Call, error: TypeError, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Note, with the error, whether it is that another version of the code sent this call: no retry makes it fit."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        call.is_misfit = True
        error.add_note(
            f"The function of this worker is {call.name}{signature}: was the call sent by another version of the code?"
        )


def _value(call: Call, value: Any) -> Outcome:
    if not call.keeps_result:
        return Outcome(Ended.RETURNED)
    try:
        return Outcome(Ended.RETURNED, payload.dumps_result(call.name, value))
    except SerializationError as error:
        return Outcome(Ended.UNSTORABLE, error=error, error_payload=payload.dumps_error(error, OUR_FRAMES))


def outcome_of(error: BaseException, is_misfit: bool = False) -> Outcome:
    """Return what a raised exception means; of a misfit, that it is not retried."""
    if is_misfit:
        return Outcome(Ended.UNLOADABLE, error=error, error_payload=payload.dumps_error(error, OUR_FRAMES))
    if isinstance(error, Retry):
        return _asked_retry(error)
    if isinstance(error, Reject):
        return rejected(exceptions.shortened(error.reason))
    if isinstance(error, Ignore):
        return Outcome(Ended.IGNORED)
    return Outcome(Ended.RAISED, error=error, error_payload=payload.dumps_error(error, OUR_FRAMES))


def _asked_retry(error: Retry) -> Outcome:
    try:
        delay = None if error.countdown is None else seconds(error.countdown, "retry countdown=")
        if error.eta is not None:
            instant_ms(error.eta, "retry eta=")
        if error.countdown is not None and error.eta is not None:
            raise TypeError("retry got both countdown= and eta=; give one of them")
        if error.max_retries is not None:
            whole(error.max_retries, "max_retries", "retry", 0, None)
        if error.exc is not None and not isinstance(error.exc, BaseException):
            raise TypeError(f"retry exc= takes an exception that was made, such as ValueError('why'), not {error.exc!r:.80}")
    except (TypeError, ValueError) as wrong:
        return Outcome(Ended.RAISED, error=wrong, error_payload=payload.dumps_error(wrong))
    cause = error.exc or error.__cause__ or error.__context__
    data = b"" if cause is None else payload.dumps_error(cause, 0)
    return Outcome(Ended.ASKED_RETRY, b"", cause, data, delay, error.eta, max_retries=error.max_retries)


# --- async def ---------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Running:
    call: Call
    done: Callable[[Outcome], None]
    why: str = ""  # what its cancellation means: "limit", "lost" or ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class EventLoop:
    """The one event loop of a worker process, in a thread of its own; started by the first `async def` task."""

    def __init__(self) -> None:
        self._loop = _new_loop()
        self._running: set[_Running] = set()
        self._thread = threading.Thread(target=self._run, name="hotqueue-event-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """Run until stopped: a SystemExit in an asyncio task that a task started comes out of here, and is not for us."""
        while True:
            try:
                return self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                pass

    def start(self, calls: list[tuple[Call, Callable[[Outcome], None]]]) -> None:
        """Start calls together; each one's `done` is called in the loop's thread with its outcome."""
        self._loop.call_soon_threadsafe(self._begin, [_Running(call, done) for call, done in calls])

    def run(self, call: Call) -> Outcome:
        """Run one call and wait for it, from another thread."""
        ended = threading.Event()
        box: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            box.append(outcome)
            ended.set()

        self.start([(call, done)])
        ended.wait()
        return box[0]

    @property
    def is_here(self) -> bool:
        """True in the loop's own thread."""
        return threading.current_thread() is self._thread

    def give_up(self) -> None:
        """Cancel everything that runs: other workers have these tasks now."""
        self._loop.call_soon_threadsafe(self._cancel_all, "lost")

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

    def _cancel_all(self, why: str) -> None:
        for running in list(self._running):
            running.why = why
            running.call.request.lost = why == "lost"
            if running.task is not None:
                running.task.cancel()

    def _begin(self, batch: list[_Running]) -> None:
        for running in batch:
            self._running.add(running)
            running.task = self._loop.create_task(self._execute(running))

    async def _execute(self, running: _Running) -> None:
        call = running.call
        _request.set(call.request)  # each asyncio task has a context of its own
        timer = None
        if call.soft_time_limit is not None:
            timer = self._loop.call_later(call.soft_time_limit, self._cancel, running, "limit")
        try:
            outcome = _value(call, await _begun(call))
        except BaseException as error:
            outcome = outcome_of(_meaning(error, running), call.is_misfit)
        finally:
            if timer is not None:
                timer.cancel()
            self._running.discard(running)
        running.done(outcome)

    def _cancel(self, running: _Running, why: str) -> None:
        running.why = why
        if running.task is not None:
            running.task.cancel()


def _meaning(error: BaseException, running: _Running) -> BaseException:
    """Return what a cancellation of ours stands for; a task's own CancelledError stays what it is."""
    if not isinstance(error, asyncio.CancelledError) or not running.why:
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
