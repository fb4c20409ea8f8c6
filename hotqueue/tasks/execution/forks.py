"""What the processes that a task starts inherit of its worker, and where one that it forked ends.

A worker process leaves signals to its supervisor. What its tasks start has the default dispositions all the same: exec
resets a signal that is handled (not one that is ignored), and a hook resets it in what is forked. Our code never goes on in
a process that user code forked: wherever that comes back to us, it ends as Python would have ended it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

count = 0  # of forks between this process and the one that imported us
_own_fds: list[int] = []  # not empty: this is a worker process
_taken: dict[int, Callable[[int, FrameType | None], None]] = {}  # handlers of this process alone
_local = threading.local()  # .mask: of signals, before a fork of this thread


def leave_if_forked(before: int, error: BaseException | None = None) -> None:
    """End this process if it was forked since `count` was `before`, by user code that now comes back to us.

    Args:
        error: what it came back with.
    """
    if count != before:
        leave(error)


def leave(error: BaseException | None) -> NoReturn:
    """End this process with the status that Python gives a program: 0, or that of an exception, shown as Python shows it.

    No `atexit` function runs: those are of the process that registered them.
    """
    status = 1
    try:
        status = _status(error)
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None:
                    stream.flush()
            except BaseException:
                status = status or 120  # Python's own, for output that could not be written
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(status)


def _status(error: BaseException | None) -> int:
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


# --- what a worker process leaves to its supervisor, and its children do not inherit --------------------------------------

OF_SUPERVISOR = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGTTIN", "SIGTTOU") if hasattr(signal, name)
)


def leave_signals_to_supervisor() -> None:
    """Take no notice of them here; what is forked or exec'ed from here does again. In the main thread."""
    for number in OF_SUPERVISOR:
        take(number, leave_to_supervisor)


def take(number: int, handler: Callable[[int, FrameType | None], None]) -> None:
    """Handle a signal in this process, and not in what is forked or exec'ed from it. In the main thread."""
    signal.signal(number, handler)
    _taken[number] = handler


def leave_to_supervisor(number: int, _frame: FrameType | None) -> None:
    """Do nothing: the supervisor decides. A handler, and not SIG_IGN, which would survive exec.

    A read from the terminal in the background would be tried for ever, where an ignored signal makes it fail: it ends instead.
    """
    if number == getattr(signal, "SIGTTIN", None):
        end_input_in_background()


def end_input_in_background() -> None:
    """Have standard input be at its end when it is a terminal whose foreground is somebody else's."""
    try:
        if os.tcgetpgrp(0) != os.getpgrp():
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
    except OSError:  # no terminal, or none of ours
        pass


def close_in_children(fds: Sequence[int]) -> None:
    """Have what is forked from here close these: a process that a task leaves must not keep pipes of ours open."""
    _own_fds.extend(fds)


def _before_fork() -> None:
    """Keep signals back until the child has its own dispositions: one that ours takes there would be lost."""
    _local.mask = signal.pthread_sigmask(signal.SIG_BLOCK, OF_SUPERVISOR) if _own_fds else None


def _after_fork() -> None:
    if _local.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _local.mask)


def _after_fork_in_child() -> None:
    global count
    count += 1
    for number, handler in _taken.items():
        if signal.getsignal(number) is handler:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if _own_fds:
        _let_go()
    _after_fork()


def _let_go() -> None:
    """Let go of what is a worker process's own."""
    faulthandler.unregister(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    for fd in _own_fds:
        try:
            os.close(fd)
        except OSError:  # a task closed it
            pass
    _own_fds.clear()
    embedded = sys.modules.get("hotqueue.embedded.hold")  # not imported where no queue is on an embedded server
    if embedded is not None:
        embedded.let_go_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
