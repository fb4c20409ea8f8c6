"""Wakeup: how a thread that waits for descriptors is woken; and waiting, however high their numbers."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterable


def readable(descriptors: Iterable[int], seconds: float) -> list[int]:
    """Return those that can be read, or have ended, within `seconds`; none if there are none by then.

    Unlike select(), which refuses numbers from 1,024 on.
    """
    if not hasattr(select, "poll"):  # Windows
        return select.select(list(descriptors), [], [], seconds)[0]
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]


class Wakeup:
    """A pipe to oneself.

    `wake` and `close` may be called by any threads at any time: numbers of descriptors are used again, so none is written to that
    might have been closed in between. The lock lets a thread in twice, as a handler of a signal may come in the middle.
    """

    _pipe: tuple[int, ...] = ()  # where there was none to be had, or it was closed

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pipe = self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Return what can be read once `wake` was called."""
        return self._read

    def wake(self) -> None:
        """End a wait, or the next one; nothing once it was closed. For any thread."""
        with self._lock:
            if self._pipe:
                with contextlib.suppress(BlockingIOError):  # full: it is awake enough
                    os.write(self._write, b"w")

    def clear(self) -> None:
        """Take in that we were woken; only when it can be read."""
        os.read(self._read, 4096)

    def close(self) -> None:
        """Close the pipe. For its owner, who waits no more."""
        with self._lock:
            pipe, self._pipe = self._pipe, ()
            for fd in pipe:
                os.close(fd)

    def __del__(self) -> None:
        if self._pipe:
            self.close()
