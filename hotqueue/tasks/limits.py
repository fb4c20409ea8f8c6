"""The soft time limit of a sync task: an exception raised inside it, in the main thread or in another."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hotqueue.errors import SoftTimeLimitExceeded


@contextmanager
def soft_limit(seconds: float, name: str) -> Iterator[None]:
    """Raise SoftTimeLimitExceeded in the body after `seconds`.

    In the main thread by SIGALRM, which also wakes a sleep; in other threads by an asynchronous exception, which waits for
    the next byte code.
    """
    text = f"{name} ran longer than soft_time_limit={seconds} s"
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        with _by_signal(seconds, text):
            yield
    else:
        with _by_thread(seconds, text):
            yield


@contextmanager
def _by_signal(seconds: float, text: str) -> Iterator[None]:
    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise SoftTimeLimitExceeded(text)

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _by_thread(seconds: float, text: str) -> Iterator[None]:
    class TooLong(SoftTimeLimitExceeded):  # what is raised there is a class; it goes by the name of its base
        __module__, __qualname__ = SoftTimeLimitExceeded.__module__, SoftTimeLimitExceeded.__qualname__

        def __init__(self, *args: object) -> None:
            super().__init__(*(args or (text,)))

        def __reduce__(self) -> tuple[object, ...]:
            return (SoftTimeLimitExceeded, (text,))

    ident = threading.get_ident()
    lock = threading.Lock()
    ended = False

    def raise_there() -> None:
        with lock:
            if not ended:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(TooLong))

    timer = threading.Timer(seconds, raise_there)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            ended = True
        timer.cancel()


def leave_ctrl_c_to_main() -> None:
    """Have this thread, and those it starts, take no SIGINT; for threads that run no code of the user's.

    The kernel may give a signal to whichever thread is just awake, and then the main thread sleeps on, for as long as it was
    going to, before Python runs the handler.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
