"""Running an operation again until it succeeds, while patience lasts: if it may run twice, or was not sent."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import EllipsisType
from typing import TypeVar

from hotqueue.errors import ConnectionFailed
from hotqueue.store.timeouts import COMMAND_TIMEOUT, PATIENCE, SHORTEST, Limits

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
        deadline, most = self._limits_of(patience)
        pause = 0.01
        while True:
            try:
                return self._within(most, operation)
            except ConnectionFailed as error:
                if _is_final(error, deadline, pause, twice) or (stop is not None and stop.is_set()):
                    raise
            if stop is not None:
                stop.wait(pause)
            else:
                time.sleep(pause)
            pause, most = min(pause * 2, 0.5), _left_until(deadline)

    @property
    def is_hasty(self) -> bool:
        """Tell whether even the first try has less time than any command may take."""
        return self.patience is not None and self.patience < COMMAND_TIMEOUT

    def be_patient(self) -> None:
        """Have at least the usual patience, whoever made the queue: for a process that nobody waits for."""
        self.patience = None if self.patience is None else max(self.patience, PATIENCE)

    def _limits_of(self, patience: float | EllipsisType | None) -> tuple[float | None, float | None]:
        """Return when patience ends, and the seconds for the first try, which a patient store lets come to its end (None)."""
        seconds = self.patience if isinstance(patience, EllipsisType) else patience
        if seconds is None or self.patience is None:
            return None if seconds is None else time.monotonic() + seconds, None
        first = max(seconds, self.patience)
        return time.monotonic() + seconds, first if first < COMMAND_TIMEOUT else None

    def _within(self, seconds: float | None, operation: Callable[[], T]) -> T:
        """Run an operation whose connecting and reading end when patience does, so that a second try adds no timeout."""
        if seconds is None:
            return operation()
        self.limits.set_patience(seconds)
        try:
            return operation()
        finally:
            self.limits.set_patience(None)

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
        deadline, most = self._limits_of(patience)
        pause, last = 0.01, None
        while True:
            try:
                if most is None:
                    return await operation()
                async with _waiting(max(SHORTEST, most) + blocks):
                    return await operation()
            except TimeoutError:
                if most is None:
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
            pause, most = min(pause * 2, 0.5), _left_until(deadline)


@contextlib.asynccontextmanager
async def _waiting(seconds: float) -> AsyncIterator[None]:
    """Do as `asyncio.timeout`, but from the moment in which the body first waits; see `Limits`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        begins = loop.call_soon(lambda: timeout.reschedule(loop.time() + seconds))
        try:
            yield
        finally:
            begins.cancel()


def _left_until(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def _is_final(error: ConnectionFailed, deadline: float | None, pause: float, twice: bool) -> bool:
    if not error.retry or (error.sent and not twice):
        return True
    return deadline is not None and time.monotonic() + pause > deadline
