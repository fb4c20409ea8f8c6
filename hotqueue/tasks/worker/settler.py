"""Settler: sees to what must not wait until a task that drags is done, from a thread of its own.

What was done before it in the same batch is settled; a wake token that came for its worker, of another server, goes back, for
others. Large outcomes are settled by slow_settlements.py, which `Subscription.settle_later` gives them to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hotqueue.runtime.wake_pipe import readable
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main

DRAGS = 0.02  # seconds that a task may take before what ended earlier is settled without it
ENDS = 0.2  # seconds for which the thread's end is waited for


class Settler:
    """Looks after the sync workers of a process while they are at a batch; sleeps while none is."""

    def __init__(self) -> None:
        self._settle: list[Callable[[float], bool]] = []
        self._wake_fds: list[Callable[[], list[int]]] = []
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_ended = False

    def add(self, settle: Callable[[float], bool], wake_fds: Callable[[], list[int]]) -> None:
        """Look after one more worker.

        Args:
            settle: settles what its dragging task holds up, and says whether the worker is still at a batch.
            wake_fds: returns the descriptors by which rings come while it works.
        """
        self._settle.append(settle)
        self._wake_fds.append(wake_fds)

    def watch(self) -> None:
        """Look on from now; the caller is at a batch."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hotqueue-settler", daemon=True)
            self._thread.start()
        self._wanted.set()

    def end(self) -> None:
        """End the thread: the workers are gone. One that waits for a server goes when it has its answer."""
        self._has_ended = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(ENDS)

    def _run(self) -> None:
        leave_ctrl_c_to_main()
        while not self._has_ended:
            self._wanted.wait()
            self._wanted.clear()
            self._pause()
            if any([settle(time.monotonic() - DRAGS) for settle in self._settle]):  # noqa: C419  (every one of them)
                self._wanted.set()

    def _pause(self) -> None:
        if lent := [fd for fds in self._wake_fds for fd in fds()]:
            readable(lent, DRAGS)
        else:
            time.sleep(DRAGS)
