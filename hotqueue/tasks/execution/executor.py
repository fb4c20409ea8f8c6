"""Run one envelope's function under its limits → Outcome. Writes nothing, decides nothing.

Whatever a task raises is the task's failure: SystemExit, KeyboardInterrupt and GeneratorExit included. Real signals are
the supervisor's affair; a worker process ignores them. Nothing here runs on in a process that a task forked.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from typing import Any

from hotqueue.errors import ControlFlow, Ignore, Interruption, Reject, Retry, SoftTimeLimitExceeded
from hotqueue.runtime import package
from hotqueue.tasks.context import Replace, Request, begun_resuming, request_var
from hotqueue.tasks.execution import forks, tracebacks
from hotqueue.tasks.execution.soft_limit import is_of_another, soft_limit
from hotqueue.tasks.execution.streaming import Outlet, drain
from hotqueue.tasks.resuming import LeftBetweenItems
from hotqueue.tasks.rules.callables import VALUES, Replacement, is_awaitable, refuse_made_generator
from hotqueue.tasks.rules.lifecycle import Ended, Outcome, rejected
from hotqueue.tasks.rules.options import instant_ms, seconds, whole
from hotqueue.tasks.wire import exceptions, payload


@dataclass(slots=True)
class Call:
    """A call, ready to run.

    Attributes:
        load: returns (function, args, kwargs); unpickling runs user code, so it happens under the task's limits.
        outlet: makes what takes the items of a task that yields; None for any other.
        replacing: what returns what a signature comes to that takes its place, its plan or else its value; and what that is to be
            given in front of the name, the request and the signature.
        is_misfit: True once it was found that the arguments are not such as the function takes.
    """

    name: str
    load: Callable[[], tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]
    request: Request
    is_async: bool = False
    soft_time_limit: float | None = None
    keeps_result: bool = True
    is_misfit: bool = False
    outlet: Callable[[], Outlet] | None = None
    replacing: tuple[Callable[[Any, str, Request, Any], tuple[bytes | None, Any]], Any] | None = None


# Runs a call on the event loop, given the context to run it in and the seconds left of its soft limit.
RunThere = Callable[[Call, Context, float | None], Outcome]


def execute(call: Call, context: Context | None = None, there: RunThere | None = None) -> Outcome:
    """Run a call to its end: a sync one here and now; an async one, or what a sync one only made, on the event loop.

    Args:
        context: what it runs in; a copy of the caller's if not given.
        there: how to run on the event loop; may be left out for a call that needs none.
    """
    context = copy_context() if context is None else context
    if call.is_async:
        assert there is not None
        return there(call, context, call.soft_time_limit)
    began = 0.0 if call.soft_time_limit is None else time.monotonic()
    ended = context.run(_run_here, call, forks.count)
    if type(ended) is Outcome:
        return ended
    assert there is not None
    left = None if call.soft_time_limit is None else max(0.0, call.soft_time_limit - (time.monotonic() - began))
    try:
        return there(replace(call, load=lambda: (lambda: ended, (), {})), context, left)
    except BaseException as error:  # Ctrl-C while we wait for it
        return outcome_of(error)


def _run_here(call: Call, forks_before: int) -> Any:
    """Return the outcome of a call, or what it only made: an awaitable. In a process that it forked, do not return."""
    request_var.set(call.request)
    try:
        if call.soft_time_limit is None:
            value = begun(call)
            if type(value) in VALUES and forks.count == forks_before:  # as with most
                return value_of(call, value)
            return _settled(call, value, forks_before)
        with soft_limit(call.soft_time_limit, call.name):
            return _settled(call, begun(call), forks_before)
    except BaseException as error:
        forks.leave_if_forked(forks_before, error)
        if issubclass(type(error), SoftTimeLimitExceeded) and is_of_another(error):
            raise  # inside `queue.testing()`: the time of the task that sent this one is up
        if (resuming := begun_resuming(call.request)) is not None:
            resuming.leave()
        return outcome_of(error, call.is_misfit, call)


def _settled(call: Call, value: Any, forks_before: int) -> Any:
    forks.leave_if_forked(forks_before)
    if call.outlet is not None and isinstance(value, Generator):
        value = drain(value, call.outlet())
        forks.leave_if_forked(forks_before)
    return (
        value if is_awaitable(value) or (call.outlet is not None and isinstance(value, AsyncGenerator)) else value_of(call, value)
    )


def begun(call: Call) -> Any:
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


def value_of(call: Call, value: Any) -> Outcome:
    """Return the outcome of a call that returned.

    Raises:
        SerializationError: the value cannot be stored.
        TypeError: it is a generator, so that nothing of the task's body has run.
    """
    if type(value) not in VALUES:
        if issubclass(type(value), Replacement):
            return _replaced(call, value)
        refuse_made_generator(value, call.name)
    if not call.keeps_result:
        return Outcome(Ended.RETURNED)
    try:
        return Outcome(Ended.RETURNED, payload.dumps(value))
    except Interruption:  # the task's, not of its value
        raise
    except Exception as error:
        return _failed(Ended.UNSTORABLE, payload.unstorable(call.name, value, error))


def _replaced(call: Call, signature: Any) -> Outcome:
    """Return the outcome of a call that a workflow is to take the place of; of a signature without a step, its value."""
    try:
        if call.replacing is None:
            raise TypeError(f"{call.name} returned the signature {signature!r:.200}, and nobody here can put it in its place")
        if call.outlet is not None:
            raise TypeError(
                f"{call.name} is a generator task, and cannot be replaced by {signature!r:.200}: its items are read under "
                "its id; have it send the workflow, by delay(), or return the signature from a task without yield"
            )
        replaced_by, home = call.replacing
        plan, value = replaced_by(home, call.name, call.request, signature)
    except Interruption:  # the task's
        raise
    except Exception as error:
        return _failed(Ended.UNSTORABLE, error)
    return value_of(call, value) if plan is None else Outcome(Ended.REPLACED, plan)


def outcome_of(error: BaseException, is_misfit: bool = False, call: Call | None = None) -> Outcome:
    """Return what a raised exception means; of a misfit, that it is not retried. Its traceback is text from then on."""
    try:
        if call is not None and issubclass(type(error), Replace):
            return _replaced(call, error.signature)  # type: ignore[attr-defined]
        return _meaning(error, is_misfit)
    except Exception as wrong:  # a subclass of Retry or Reject that leaves out what ours say
        return _failed(Ended.RAISED, wrong)
    finally:
        tracebacks.let_go(error)


def _meaning(error: BaseException, is_misfit: bool) -> Outcome:
    if is_misfit:
        return _failed(Ended.UNLOADABLE, error)
    if issubclass(type(error), LeftBetweenItems):
        return Outcome(Ended.INTERRUPTED)
    if not issubclass(type(error), ControlFlow):  # an instance may answer `isinstance` with code of the user's
        return _failed(Ended.RAISED, error)
    if isinstance(error, Retry):
        return _asked_retry(error)
    if isinstance(error, Reject):
        return rejected(exceptions.shortened(error.reason))
    if isinstance(error, Ignore):
        return Outcome(Ended.IGNORED)
    return _failed(Ended.RAISED, error)


def _failed(ended: Ended, error: BaseException) -> Outcome:
    data = payload.dumps_error(error, _our_frames(error))
    tracebacks.let_go(error)
    return Outcome(ended, error=error, error_payload=data)


def _our_frames(error: BaseException) -> int:
    """Return how many frames of ours a traceback begins with."""
    count, trace = 0, tracebacks.of(error)
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(package.FOLDER):
        count, trace = count + 1, trace.tb_next
    return count


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
        return _failed(Ended.RAISED, wrong)
    cause = error.exc or error.__cause__ or error.__context__
    data = b"" if cause is None else payload.dumps_error(cause, 0)
    return Outcome(Ended.ASKED_RETRY, b"", cause, data, delay, error.eta, max_retries=error.max_retries)
