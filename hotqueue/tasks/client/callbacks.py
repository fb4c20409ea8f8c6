"""Futures of results, and the threads that complete them: what their owners have called may block, or raise.

Nobody waits for another here: while one callback blocks, another thread goes on with those behind it. Knows no store.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from hotqueue.runtime.ending import start_thread

R = TypeVar("R")
log = logging.getLogger("hotqueue.worker")

DRAGS = 0.02  # seconds that a call may take before another thread goes on with those behind it
IDLE = 10.0  # seconds after which a thread that has nothing to do ends


class Callers:
    """Threads that call what may block: one, and one more for each call that drags while others wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Callable[[], object]] = deque()
        self._threads = self._idle = self._begun = 0
        self._is_watched = False

    def call(self, function: Callable[[], object]) -> None:
        """Have a function called, in some thread; here, where the program ends and no thread is to be had."""
        with self._changed:
            self._waiting.append(function)
            if self._threads or self._start():
                self._see_to_the_rest()
                self._changed.notify()
                return
            self._waiting.pop()
        _called(function)

    def _start(self) -> bool:
        is_started = start_thread(threading.Thread(target=self._run, name="hotqueue-callbacks", daemon=True))
        self._threads += is_started
        self._idle += is_started
        return is_started

    def _see_to_the_rest(self) -> None:
        """Have somebody look on while more wait than there are threads at rest."""
        if len(self._waiting) > self._idle and not self._is_watched:
            watching = threading.Thread(target=self._watch, name="hotqueue-callbacks", daemon=True)
            self._is_watched = start_thread(watching)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, IDLE):
                    self._threads -= 1
                    self._idle -= 1
                    return
                function = self._waiting.popleft()
                self._idle -= 1
                self._begun += 1
                self._see_to_the_rest()
            _called(function)
            del function  # it may hold a result
            with self._changed:
                self._idle += 1

    def _watch(self) -> None:
        while True:
            before = self._begun
            time.sleep(DRAGS)
            with self._changed:
                if len(self._waiting) <= self._idle:
                    self._is_watched = False
                    return
                if self._begun == before and not self._idle:
                    self._start()


def _called(function: Callable[[], object]) -> None:
    try:
        function()
    except BaseException:  # of a callback: it is nobody's but its owner's, who is not here
        log.exception("a callback of a future raised")


class ResultFuture(Future[R]):
    """A future that is completed as long as somebody may notice: it has callbacks, or somebody else holds on to it.

    Args:
        pin: of whoever completes it; holds it while it has callbacks.
    """

    def __init__(self, pin: list[Any]) -> None:
        super().__init__()
        self._pin = pin
        self.set_running_or_notify_cancel()

    def add_done_callback(self, fn: Callable[[Future[R]], object]) -> None:
        """Have a function called when the task has ended; in a thread of ours, so that it may block."""
        if not self.done():
            self._pin[:] = [self]
        super().add_done_callback(fn)
        if self.done():
            self._pin.clear()

    def cancel(self) -> bool:
        """Return False: the task goes on. What asyncio made of this future, and cancelled, is not kept for it."""
        self._pin.clear()
        return super().cancel()


def _start_over() -> None:
    """In a forked process: the threads are not there, and what waits is the parent's."""
    global callers
    callers = Callers()


callers = Callers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)
