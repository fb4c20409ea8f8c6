"""Signals of a supervisor: their handlers only note them and wake its loop, which then asks what there was.

What each of them does is said in supervisor.py (`_answer_signals`); replacing processes, at HUP or USR2: replacement.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

from hotqueue.runtime import descriptors, signal_stack

SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCHLD,
)


class Signals:
    """The signals that came, and the pipe by which they, and jobs in the background, wake the loop.

    Attributes:
        has_terminal: SIGHUP means that the terminal was closed, and not that processes are to be replaced.
    """

    def __init__(self) -> None:
        self._noted: list[int] = []
        self.has_terminal = False

    def listen(self) -> None:
        """Install the handlers."""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self.has_terminal = descriptors.has_terminal()
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup: whoever started us wants it ignored
            signal.signal(number, lambda number, _frame: self._noted.append(number))
        signal_stack.enlarge()

    def noted(self) -> Iterator[int]:
        """Yield the signals that came, each once."""
        while self._noted:
            yield self._noted.pop(0)

    def wake(self) -> None:
        """Wake the loop, from any thread."""
        try:
            os.write(self._wake_write, b"e")
        except BlockingIOError:
            pass  # full: it is awake enough

    def fileno(self) -> int:
        """Return what can be read once the loop is to wake."""
        return self._wake_read

    def descriptors(self) -> tuple[int, int]:
        """Return both ends of that pipe, which a child must not keep."""
        return self._wake_read, self._wake_write

    def clear(self) -> None:
        """Read what woke the loop."""
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
