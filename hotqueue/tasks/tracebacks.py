"""Let go of what an exception holds: its traceback keeps the frames it passed through, and they keep their locals.

A frame of ours above them holds the outcome, which holds the error: a cycle, and all that a failing task had in hand would
stay until the collector happens to come by. Once the traceback is text, nobody needs it. Pure.
"""

from __future__ import annotations

import contextlib
import inspect
from types import TracebackType

_RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


def let_go(error: BaseException | None) -> None:
    """Drop the tracebacks of an exception, of its causes and contexts, and of what it groups."""
    left, seen = [error], set()
    while left:
        each = left.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        _clear(each.__traceback__)
        with contextlib.suppress(Exception):  # a class may forbid it
            each.__traceback__ = None
        left += [each.__cause__, each.__context__, getattr(each, "exc", None)]  # the last is a Retry's
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions


def _clear(trace: TracebackType | None) -> None:
    """Clear frames that have ended: a local that holds an exception makes a cycle of its own.

    Only those of functions: one of a coroutine may be of somebody else's, who goes on with it, and clearing would end that.
    """
    while trace is not None:
        if not trace.tb_frame.f_code.co_flags & _RESUMABLE:
            with contextlib.suppress(RuntimeError):  # it still runs
                trace.tb_frame.clear()
        trace = trace.tb_next
