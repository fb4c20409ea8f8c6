"""What a task may leave in its process that would break a worker: alarms, signals, closed descriptors.

What is only the task's own affair (the working directory, the environment, …) stays as it left it; README says so. Only in
a supervisor's child: `run_worker()` is a guest in a process whose signals and descriptors are not ours.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from _signal import (  # type: ignore[import-not-found]  # signal's own make enums of what they return: 70 times slower
    getsignal,
    pthread_sigmask,
)
from collections.abc import Sequence
from signal import getitimer
from types import FrameType

from hotqueue.runtime import descriptors
from hotqueue.tasks.execution import forks

log = logging.getLogger("hotqueue.worker")

TIMERS = {  # the signal of each interval timer
    getattr(signal, name): getattr(signal, timer)
    for name, timer in (("SIGALRM", "ITIMER_REAL"), ("SIGVTALRM", "ITIMER_VIRTUAL"), ("SIGPROF", "ITIMER_PROF"))
    if hasattr(signal, timer)
}
_OFF = (0.0, 0.0)
HIGHEST = 4096  # descriptors of ours have lower numbers


class Repairs:
    """Looks after a worker process; made once its modules have been imported.

    Args:
        fds: descriptors of ours that stay open as long as the process lives.
    """

    def __init__(self, fds: Sequence[int]) -> None:
        self._files = {fd: _identity(fd) for fd in fds}
        self._minds_alarms = getitimer(signal.ITIMER_REAL) == _OFF  # else a module has set one, for all that runs here
        self._said: set[str] = set()
        self._unclaimed = ""
        self._mask = pthread_sigmask(signal.SIG_BLOCK, ())  # the threads that run tasks have it of this one
        self._unclaimed_handler = self._ring  # one object, to be known again
        self._mend_handlers("a module")

    def after_task(self, name: str) -> None:
        """Switch off an alarm that a task left on with a handler of its own, which would interrupt the next one.

        Without one, ours takes it when it rings. Every task passes here, and to look at the timer takes a call of the system.
        """
        if getsignal(signal.SIGALRM) is self._unclaimed_handler or not self._minds_alarms:
            return
        if getitimer(signal.ITIMER_REAL) != _OFF and _is_main():
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._say(f"{name} ended and left an alarm on (signal.alarm or setitimer); it was switched off")

    def between_tasks(self) -> bool:
        """Put back our handlers, blocked signals and standard streams; tell whether our descriptors are still there."""
        if _is_main():
            self._mend_handlers("a task")
            if self._unclaimed:
                self._say(f"{self._unclaimed} rang and no task handles it (one that has ended left it on); it was switched off")
        self._mend_mask()
        return self.are_files_whole()

    def _mend_mask(self) -> None:
        """Block what was blocked before: the rest would not reach what the next tasks start, nor its soft limit the task."""
        if pthread_sigmask(signal.SIG_SETMASK, self._mask) != self._mask:
            self._say("a task left signals blocked, or unblocked (pthread_sigmask); it was undone")

    def _mend_handlers(self, who: str) -> None:
        for number in forks.OF_SUPERVISOR:
            if getsignal(number) is not forks.leave_to_supervisor:
                signal.signal(number, forks.leave_to_supervisor)
                self._say(f"{who} took {number.name}, which is the supervisor's in a worker process; it was taken back")
        for number in TIMERS:
            if getsignal(number) == signal.SIG_DFL:
                forks.take(number, self._unclaimed_handler)

    def _ring(self, number: int, _frame: FrameType | None) -> None:
        """Take an alarm that nobody handles, which would end the process: a task left it on."""
        signal.setitimer(TIMERS[signal.Signals(number)], 0)
        self._unclaimed = signal.Signals(number).name  # told later: whatever this interrupts may hold the log's lock

    def _say(self, text: str) -> None:
        if text not in self._said and len(self._said) < 1000:
            self._said.add(text)
            log.warning("%s", text)

    def are_files_whole(self) -> bool:
        """Tell whether nobody has closed a descriptor of ours; those of the standard streams are opened again, on /dev/null.

        Else what is opened next, such as a connection, gets what is printed then.
        """
        if descriptors.fill_standard():
            self._say("a task closed a standard stream; what is written there is lost from now on")
        fd, identity = next(iter(self._files.items()))  # who closes them in bulk has closed the first
        return _identity(fd) == identity

    def fill_holes(self) -> None:
        """Have every number that may be of ours stand for a file again, if only for /dev/null.

        Else what is opened next gets a number that something of ours still reads, writes or closes.
        """
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3, HIGHEST):
            if fd in self._files or _identity(fd) is None:
                with contextlib.suppress(OSError):
                    os.dup2(null, fd, inheritable=False)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino
