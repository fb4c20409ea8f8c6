"""Let go of what an exception holds: its traceback keeps frames, and these keep their locals.

A frame of ours above them holds the outcome, which holds the error: a cycle, and all that a failing task had in hand would
stay until the collector happens to come by. Once the traceback is text, nobody needs it. Pure.
"""

from __future__ import annotations

import contextlib
import inspect
from types import TracebackType
from typing import Any

from hotqueue.errors import Retry

_RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


# As Python itself sees an exception: its class may say otherwise, or run code of the user's, which may raise.
of, _cause, _context = (vars(BaseException)[f"__{name}__"].__get__ for name in ("traceback", "cause", "context"))
_members: Any = vars(BaseExceptionGroup)["exceptions"].__get__


def let_go(error: BaseException | None) -> None:
    """Drop the tracebacks of an exception, of its causes and contexts, and of what it groups."""
    left, seen = [error], set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        _clear(of(each))
        BaseException.with_traceback(each, None)
        left += [_cause(each), _context(each)]
        if issubclass(type(each), Retry):
            asked = each.__dict__.get("exc")
            left.append(asked if issubclass(type(asked), BaseException) else None)
        if issubclass(type(each), BaseExceptionGroup):
            left += _members(each)


def _clear(trace: TracebackType | None) -> None:
    """Clear frames that have ended: a local that holds an exception makes a cycle of its own.

    Only those of functions: one of a coroutine may be of somebody else's, who goes on with it, and clearing would end that.
    """
    while trace is not None:
        if not trace.tb_frame.f_code.co_flags & _RESUMABLE:
            with contextlib.suppress(RuntimeError):  # it still runs
                trace.tb_frame.clear()
        trace = trace.tb_next
