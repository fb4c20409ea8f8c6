"""Running an operation again until it succeeds, while patience lasts: if it may run twice, or was not sent."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import EllipsisType
from typing import TypeVar

from hotqueue.errors import ConnectionFailed
from hotqueue.store.patience import COMMAND_TIMEOUT, PATIENCE, Limits

T = TypeVar("T")


class Repeating:
    """What a store does when it cannot be reached, or not yet.

    Attributes:
        patience: seconds that a call may take while the server cannot be reached; None is without end.
        limits: how long a command of a thread may take.
    """

    patience: float | None
    limits: Limits

    def repeat(
        self,
        operation: Callable[[], T],
        *,
        patience: float | EllipsisType | None = ...,
        stop: threading.Event | None = None,
        twice: bool = True,
    ) -> T:
        """Run an operation until it succeeds.

        Args:
            patience: seconds after which the last error is raised, instead of the store's own; None repeats until `stop` is set.
            stop: ends the waiting early.
            twice: False for an operation that must not run twice: repeated only while nothing was sent.
        """
        deadline, until = self._deadlines(patience)
        pause = 0.01
        while True:
            try:
                return self._within(until, operation)
            except ConnectionFailed as error:
                if _is_final(error, deadline, pause, twice) or (stop is not None and stop.is_set()):
                    raise
            if stop is not None:
                stop.wait(pause)
            else:
                time.sleep(pause)
            pause, until = min(pause * 2, 0.5), deadline

    def be_patient(self) -> None:
        """Have at least the usual patience, whoever made the queue: for a process that nobody waits for."""
        self.patience = None if self.patience is None else max(self.patience, PATIENCE)

    def _deadlines(self, patience: float | EllipsisType | None) -> tuple[float | None, float | None]:
        """Return when patience ends, and when the first try is to, which is let come to its end (None) by a patient store."""
        seconds = self.patience if isinstance(patience, EllipsisType) else patience
        if seconds is None or self.patience is None:
            return None if seconds is None else time.monotonic() + seconds, None
        now, first = time.monotonic(), max(seconds, self.patience)
        return now + seconds, now + first if first < COMMAND_TIMEOUT else None

    def _within(self, deadline: float | None, operation: Callable[[], T]) -> T:
        """Run an operation whose connecting and reading end when patience does, so that a second try adds no timeout."""
        if deadline is None:
            return operation()
        self.limits.deadline = deadline
        try:
            return operation()
        finally:
            self.limits.deadline = None

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Have no command of this thread wait for longer than so many seconds inside the body."""
        before = self.limits.most
        self.limits.most = seconds if before is None else min(seconds, before)
        try:
            yield
        finally:
            self.limits.most = before

    async def arepeat(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        patience: float | EllipsisType | None = ...,
        twice: bool = True,
        blocks: float = 0,
    ) -> T:
        """Asyncio twin of `repeat`.

        Args:
            blocks: seconds for which the operation may wait for something else than an answer.
        """
        deadline, until = self._deadlines(patience)
        pause, last = 0.01, None
        while True:
            try:
                async with asyncio.timeout(None if until is None else max(0.1, until - time.monotonic()) + blocks):
                    return await operation()
            except TimeoutError:
                if until is None:
                    raise
                if last is None:
                    text = f"no answer from {self} within {self.patience:g} s; whether it was carried out is unknown"
                    raise ConnectionFailed(text) from None
                raise ConnectionFailed(f"{last}; tried again without an answer") from last
            except ConnectionFailed as error:
                if _is_final(error, deadline, pause, twice):
                    raise
                last = error
            await asyncio.sleep(pause)
            pause, until = min(pause * 2, 0.5), deadline


def _is_final(error: ConnectionFailed, deadline: float | None, pause: float, twice: bool) -> bool:
    if not error.retry or (error.sent and not twice):
        return True
    return deadline is not None and time.monotonic() + pause > deadline
