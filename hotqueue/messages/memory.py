"""The raw messages of a queue inside `queue.testing()`: a list in this process, and consume loops over it.

They do what a store's list, and `consume.Holder` with its consumer, do; nobody else sees them, so there is no lease and no sweep.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hotqueue.messages.consumer import BACK, CHARGED, DEAD, DONE
from hotqueue.runtime import testing_mode
from hotqueue.runtime.interrupts import within

CHARGED_MOST = 5  # times that its holder may raise before a message goes to the dead, as in held.lua


class MemoryList:
    """The raw messages of one queue, in this process."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._charged: Counter[bytes] = Counter()
        self._wakers: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self.dead: list[bytes] = []

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, raw: list[bytes], most: int | None) -> int:
        """Append messages; return 0, or where they do not fit -1 less how many there are."""
        with self._lock:
            if most is not None and len(self._messages) + len(raw) > most:
                return -1 - len(self._messages)
            self._messages.extend(raw)
        self._wake()
        return 0

    def clear(self) -> None:
        """Delete all messages."""
        self._messages.clear()

    def pop(self, block: bool, limit: float | None) -> bytes | None:
        """Remove and return the oldest message, waiting at most `limit` seconds (None: for ever)."""
        deadline = None if limit is None else time.monotonic() + limit
        awake = threading.Event()
        with self._waker(awake.set):
            while (raw := self._oldest()) is None and block:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                awake.wait(within(left))
                awake.clear()
        return raw

    async def apop(self, block: bool, limit: float | None) -> bytes | None:
        """Asyncio twin of `pop`."""
        awake, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._waker(lambda: loop.call_soon_threadsafe(awake.set)):
            try:
                async with asyncio.timeout(limit):
                    while (raw := self._oldest()) is None and block:
                        await awake.wait()
                        awake.clear()
            except TimeoutError:
                return None
        return raw

    def give_back(self, raw: bytes) -> None:
        """Put a message back at the head."""
        self._messages.appendleft(raw)
        self._wake()

    def charge(self, raw: bytes) -> None:
        """Put a message back whose holder raised; the fifth time to the dead."""
        self._charged[raw] += 1
        if self._charged[raw] < CHARGED_MOST:
            self.give_back(raw)
        else:
            del self._charged[raw]
            self.dead.append(raw)

    def after_fork(self) -> None:
        """In a forked process: the lock may be held by a thread of the parent."""
        self._lock = threading.Lock()

    def _oldest(self) -> bytes | None:
        try:
            return self._messages.popleft()
        except IndexError:
            return None

    @contextmanager
    def _waker(self, wake: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            self._wakers.append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)

    def _wake(self) -> None:
        with self._lock:
            for wake in self._wakers:
                wake()


def list_of(store: object, name: str) -> MemoryList | None:
    """Return the raw messages of a queue inside `queue.testing()`; None outside, where they are in its store."""
    return None if testing_mode.sandbox is None else testing_mode.sandbox.kept(MemoryList, store, name)


class MemoryHolder:
    """One consume loop over a `MemoryList`: what `consume.Holder` and the consumer in its loop are over a store."""

    def __init__(self, messages: MemoryList) -> None:
        self._messages = messages
        self._raw: bytes | None = None
        self._fate = BACK
        self.loop = self.consumer = self

    def settle(self, fate: str) -> None:
        """Say what becomes of the message in hand; by default it goes back."""
        self._fate = fate

    def next(self, block: bool, limit: float | None) -> bytes | None:
        """Settle the message in hand and return the next, or None."""
        self.leave()
        self._raw = self._messages.pop(block, limit)
        return self._raw

    def hold(self, raw: bytes | None) -> None:
        """Take a message in hand."""
        self._raw = raw

    def leave(self) -> None:
        """Settle the message in hand."""
        raw, fate, self._raw, self._fate = self._raw, self._fate, None, BACK
        if raw is None or fate == DONE:
            return
        if fate == DEAD:
            self._messages.dead.append(raw)
        elif fate == CHARGED:
            self._messages.charge(raw)
        else:
            self._messages.give_back(raw)


class AsyncMemoryHolder:
    """Asyncio twin of `MemoryHolder`."""

    def __init__(self, messages: MemoryList) -> None:
        self._messages = messages
        self.loop = MemoryHolder(messages)

    async def next(self, block: bool, limit: float | None) -> bytes | None:
        """Settle the message in hand and return the next, or None."""
        self.loop.leave()
        raw = await self._messages.apop(block, limit)
        self.loop.hold(raw)
        return raw

    async def leave(self) -> None:
        """Settle the message in hand."""
        self.loop.leave()
