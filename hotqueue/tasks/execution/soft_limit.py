"""The soft time limit of a sync task: an exception raised inside it, in the main thread or in another.

One thread watches the clock for a process. It takes no alarm: SIGALRM and the interval timers are the task's to use. That of an
`async def` task is in loop.py; the hard limit, `time_limit`, is the supervisor's (watchdog.py).
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from hotqueue.errors import SoftTimeLimitExceeded
from hotqueue.runtime.interrupts import expected

# Wakes a main thread that sleeps. Nobody minds one that comes without a handler: the default is to do nothing.
SIGNAL: Any = getattr(signal, "SIGURG", None)
AGAIN = 0.1  # seconds after which a signal is sent once more: it may have come just before the sleep that it was to end


@dataclass(eq=False, slots=True)
class _Limit:
    deadline: float
    text: str
    thread: int  # its ident
    is_over: bool = False  # the body has ended, or is told
    has_come: bool = False  # the body was told


@contextmanager
def soft_limit(seconds: float, name: str) -> Iterator[None]:
    """Raise SoftTimeLimitExceeded in the body after `seconds`.

    In the main thread by a signal, which also ends a sleep; in other threads by an asynchronous exception, which waits for
    the next byte code: what waits in our own code comes back in time for it.
    """
    text = f"{name} ran longer than soft_time_limit={seconds} s"
    limit = _Limit(time.monotonic() + seconds, text, threading.get_ident())
    outer = getattr(_here, "limits", ())
    _here.limits = (*outer, limit)
    try:
        with _passing(limit):
            yield
    finally:
        _here.limits = outer


def is_of_another(error: BaseException) -> bool:
    """Tell whether an error is of a limit that is still open here: of a task that runs this one in its own thread."""
    return any(limit.is_over and error.args == (limit.text,) for limit in getattr(_here, "limits", ()))


@contextmanager
def _passing(limit: _Limit) -> Iterator[None]:
    if threading.current_thread() is threading.main_thread() and SIGNAL is not None:
        with _by_signal(limit):
            _clock.watch(limit)
            yield
    else:
        clock = _clock
        clock.watch(limit)
        try:
            with expected(limit.deadline, lambda: limit.has_come or clock is not _clock):  # another one in a forked process
                yield
        finally:
            _clock.forget(limit)


@contextmanager
def _by_signal(limit: _Limit) -> Iterator[None]:
    """Be told by signal while the body runs; another's handler of the signal gets what is not for us."""
    before = signal.getsignal(SIGNAL)

    def too_long(number: int, frame: FrameType | None) -> None:
        if not limit.is_over and time.monotonic() >= limit.deadline:
            limit.is_over = True
            raise SoftTimeLimitExceeded(limit.text)
        if callable(before):
            before(number, frame)

    signal.signal(SIGNAL, too_long)
    try:
        yield
    finally:
        limit.is_over = True
        signal.signal(SIGNAL, before)


class _Clock:
    """The limits of a process, and the thread that waits for the next one to pass."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._limits: list[tuple[float, int, _Limit]] = []  # when to look at it; a number of its own
        self._thread: threading.Thread | None = None

    def watch(self, limit: _Limit) -> None:
        with self._changed:
            heapq.heappush(self._limits, (limit.deadline, next(_numbers), limit))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hotqueue-limits", daemon=True)
                self._thread.start()
            elif self._limits[0][2] is limit:
                self._changed.notify()

    def forget(self, limit: _Limit) -> None:
        """End a limit of a thread; what it raised there, and has not come yet, does not come any more."""
        with self._changed:
            if limit.is_over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(limit.thread), None)
            limit.is_over = True

    def _run(self) -> None:
        leave_ctrl_c_to_main()
        with self._changed:
            while True:
                while self._limits and self._limits[0][2].is_over:
                    heapq.heappop(self._limits)
                left = self._limits[0][0] - time.monotonic() if self._limits else None
                if left is None or left > 0:
                    self._changed.wait(left)
                else:
                    self._tell(heapq.heappop(self._limits)[2])

    def _tell(self, limit: _Limit) -> None:
        if limit.thread == threading.main_thread().ident and SIGNAL is not None:
            signal.pthread_kill(limit.thread, SIGNAL)
            heapq.heappush(self._limits, (time.monotonic() + AGAIN, next(_numbers), limit))
        else:
            limit.is_over = True
            error = ctypes.py_object(_as_class(limit.text))
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(limit.thread), error)
            limit.has_come = True  # only now, for whoever waits in that thread waits for long again


def _as_class(text: str) -> type[SoftTimeLimitExceeded]:
    class TooLong(SoftTimeLimitExceeded):  # what is raised in another thread is a class; it goes by the name of its base
        __module__, __qualname__ = SoftTimeLimitExceeded.__module__, SoftTimeLimitExceeded.__qualname__

        def __init__(self, *args: object) -> None:
            super().__init__(*(args or (text,)))

        def __reduce__(self) -> tuple[object, ...]:
            return (SoftTimeLimitExceeded, (text,))

    TooLong.__name__ = SoftTimeLimitExceeded.__name__
    return TooLong


def _start_over() -> None:
    """In a forked process: the thread is not there, and the limits are the parent's."""
    global _clock
    _clock = _Clock()


_here = threading.local()  # .limits: that are open in this thread, the outer ones first
_numbers = itertools.count()
_clock = _Clock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)


def leave_ctrl_c_to_main() -> None:
    """Have this thread, and those it starts, take no SIGINT; for threads that run no code of the user's.

    The kernel may give a signal to whichever thread is just awake, and then the main thread sleeps on, for as long as it was
    going to, before Python runs the handler.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def allow_ctrl_c() -> None:
    """Undo that in a thread that does run code of the user's: what is started from it inherits what is blocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
