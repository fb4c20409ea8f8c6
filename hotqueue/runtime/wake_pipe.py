"""Wakeup: how a thread that waits for descriptors is woken; and waiting, however high their numbers."""

from __future__ import annotations

import os
import select
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
    """A pipe to oneself, which is closed with its owner."""

    _pipe: tuple[int, ...] = ()  # where there was none to be had

    def __init__(self) -> None:
        self._pipe = self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Return what can be read once `wake` was called."""
        return self._read

    def wake(self) -> None:
        """End a wait, or the next one; for any thread."""
        try:
            os.write(self._write, b"w")
        except BlockingIOError:
            pass  # full: it is awake enough

    def clear(self) -> None:
        """Take in that we were woken; only when it can be read."""
        os.read(self._read, 4096)

    def __del__(self) -> None:
        for fd in self._pipe:
            os.close(fd)
