"""The methods of HotQueue for raw messages: put, get, consume, worker, clear, and their asyncio twins.

How messages are held is in `consume`, what asyncio does in `asyncio`. Knows nothing of tasks.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from datetime import timedelta
from typing import Any, overload

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS, ConnectionFailed, QueueFull, SerializationError
from hotqueue.hints import check_flag, hinting
from hotqueue.messages import asyncio as aqueue
from hotqueue.messages import consume, memory
from hotqueue.messages.codec import Codec
from hotqueue.messages.consumer import PACKAGE, SLICE
from hotqueue.messages.local import Local
from hotqueue.messages.memory import MemoryList
from hotqueue.messages.options import check_options, patience
from hotqueue.plurals import plural
from hotqueue.runtime import testing_mode
from hotqueue.runtime.interrupts import within
from hotqueue.store import scripts
from hotqueue.store.store import Store
from hotqueue.store.timeouts import LEAST_BLOCK

Seconds = float | timedelta


class MessageMethods:
    """What a queue can do with raw messages."""

    name: str
    key: str
    _store: Store
    max_queue_length: int | None
    _codec: Codec
    _kept: Local

    def __len__(self) -> int:
        """Return how many messages wait (not those that a consumer holds, nor tasks)."""
        if (messages := self._in_memory) is not None:
            return len(messages)
        return int(self._store.repeat(lambda: self._store.command(self.key, "LLEN", self.key, doing=f"len of {self.key}")))

    # --- putting and getting -------------------------------------------------------------------------------------

    def put(self, *msgs: Any) -> None:
        """Append messages, all in one command or none.

        Raises:
            SerializationError: an argument cannot be serialized; nothing was sent.
            QueueFull: the queue would be longer than `max_queue_length`, or the server is out of memory.
            ConnectionFailed: no answer came; unless `.sent`, nothing was stored.
        """
        raw = self._dumped(msgs)
        if raw and (messages := self._in_memory) is not None:
            self._refuse_overflow(messages.put(raw, self.max_queue_length), len(raw))
        elif raw:
            self._store.repeat(lambda: self._push(raw), twice=False)

    async def aput(self, *msgs: Any) -> None:
        """Asyncio twin of `put`."""
        if self._in_memory is None:
            raw = self._dumped(msgs)
            self._refuse_overflow(await aqueue.put(self._store, self.key, raw, self.max_queue_length), len(raw))
        else:
            self.put(*msgs)

    def _dumped(self, msgs: Sequence[Any]) -> list[bytes]:
        dumps = self._codec.dumps
        return [dumps(msg, place) for place, msg in enumerate(msgs, 1)]

    def _push(self, raw: list[bytes]) -> None:
        if self.max_queue_length is None:
            self._store.command(self.key, "RPUSH", self.key, *raw, doing=f"put on {self.key}")
        else:
            found = self._store.run(scripts.load(PACKAGE, "put"), [self.key], [self.max_queue_length, *raw], f"put on {self.key}")
            self._refuse_overflow(found, len(raw))

    def _refuse_overflow(self, found: int, more: int) -> None:
        if found < 0:
            raise QueueFull(
                f"{self.key} holds {plural(-1 - found, 'message')} of at most {self.max_queue_length}: "
                f"{plural(more, 'more does', 'more do')} not fit, none was stored; drain the queue or raise max_queue_length"
            )

    @hinting
    def get(self, block: bool = False, timeout: Seconds | None = None) -> Any:
        """Remove and return the oldest message, or None when there is none. At most once: nobody else will get it.

        Args:
            block: wait for a message.
            timeout: seconds (int, float or timedelta) to wait at most; None waits for ever.

        Raises:
            SerializationError: the message cannot be loaded; it was moved to ``{hotqueue:<name>}:dead-messages``.
            ConnectionFailed: no answer came; unless `.sent` is False, one message may have been taken and lost.
        """
        limit = patience(block, timeout, "get")
        if (messages := self._in_memory) is not None:
            raw = messages.pop(block, limit)
            return None if raw is None else self._loaded(raw)
        raw = self._pop(self._pop_now)
        if raw is None:
            raw = self._late(block, limit)
        return None if raw is None else self._loaded(raw)

    @hinting
    async def aget(self, block: bool = False, timeout: Seconds | None = None) -> Any:
        """Asyncio twin of `get`. Cancelled at any moment, it takes no message: one already taken is put back."""
        limit = patience(block, timeout, "aget")
        if (messages := self._in_memory) is not None:
            raw = await messages.apop(block, limit)
            return None if raw is None else self._loaded(raw)
        raw = await aqueue.get(self._local(), block, limit)
        return None if raw is None else await aqueue.loaded(self._local(), self._codec, raw)

    def _late(self, block: bool, limit: float | None) -> bytes | None:
        """Return a message that a dead consumer held, or that comes while we wait."""
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            if self._local().run_sweep() and (raw := self._pop(self._pop_now)) is not None:
                return raw
            left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
            if not block or left <= 0:
                return None
            if (raw := self._pop(functools.partial(self._pop_waiting, within(left)))) is not None:
                return raw

    def _pop(self, pop: Callable[[], bytes | None]) -> bytes | None:
        try:
            return self._store.repeat(pop, twice=False)
        except ConnectionFailed as error:
            if not error.sent:
                raise
            raise ConnectionFailed(f"{error}: one message may have been taken from {self.key}, and lost") from error

    def _pop_now(self) -> bytes | None:
        found: bytes | None = self._store.command(self.key, "LPOP", self.key, doing=f"get from {self.key}")
        return found

    def _pop_waiting(self, limit: float) -> bytes | None:
        with self._local().blocking() as connection:
            found = connection.call("BLPOP", self.key, max(limit, LEAST_BLOCK))
        return None if found is None else found[1]

    def _loaded(self, raw: bytes) -> Any:
        try:
            return self._codec.loads(raw)
        except SerializationError as error:
            dead = keys.dead_messages(self.name)
            if (messages := self._in_memory) is not None:
                messages.dead.append(raw)
                raise
            try:
                self._store.repeat(
                    lambda: self._store.command(dead, "RPUSH", dead, raw, doing=f"moving it to {dead}"), twice=False
                )
            except STORE_ERRORS as failure:
                raise SerializationError(f"{error}; {failure}") from error
            raise SerializationError(f"{error}; it was moved to {dead}") from error

    def clear(self) -> None:
        """Delete all waiting messages (not those that a consumer holds, nor dead-messages)."""
        if (messages := self._in_memory) is not None:
            messages.clear()
        else:
            self._store.repeat(lambda: self._store.command(self.key, "UNLINK", self.key, doing=f"clear of {self.key}"))

    # --- consuming -----------------------------------------------------------------------------------------------

    @hinting
    def consume(
        self, block: bool = True, timeout: Seconds | None = None, *, ack_on_break: bool = False
    ) -> Generator[Any, None, None]:
        """Yield messages, each held until the next one is asked for: a process killed in between loses none.

        >>> for message in queue.consume():
        ...     print(message)

        Left early, the loop gives its message back to the head of the list, uncharged; wrap it in `contextlib.closing`
        to have an exception in the body charged (a `for` loop does not tell a generator). A message whose holder died
        or raised 5 times goes to ``{hotqueue:<name>}:dead-messages``, as does at once one that cannot be loaded. When
        the store goes away, the loop waits for it. Ctrl-C ends the loop quietly while it waits.

        Args:
            block: wait for messages; False ends the loop when there is none.
            timeout: seconds (int, float or timedelta) without a message after which the loop ends; None never.
            ack_on_break: take the message as done when the loop is left by `break` or `return`; loop over the call
                itself for this, not over a variable that keeps the generator.

        Raises:
            ConnectionFailed: the store stayed away for 5 seconds (or `timeout`, if longer); never with
                ``timeout=None`` and `block`.
        """
        limit = patience(block, timeout, "consume")
        check_flag(ack_on_break, "consume(ack_on_break=)")
        return consume.messages(self._local(), self._codec, block, limit, ack_on_break)

    @hinting
    def aconsume(self, block: bool = True, timeout: Seconds | None = None) -> AsyncGenerator[Any, None]:
        """Asyncio twin of `consume`, for ``async for``.

        An async generator is closed some time after `break`; ``async with contextlib.aclosing(…)`` closes it at once.
        """
        return aqueue.messages(self._local(), self._codec, block, patience(block, timeout, "aconsume"))

    @overload
    def worker(self, function: Callable[..., Any], /) -> Callable[..., Any]: ...

    @overload
    def worker(
        self, /, *, block: bool = True, timeout: Seconds | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...

    def worker(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Callable[..., Any]:
        """Wrap a function or method, plain or `async`, in a consume loop.

        >>> @queue.worker
        ... def square(number):
        ...     print(number * number)

        ``square()`` then calls it with each message, behind what arguments it is given itself. An exception ends the
        loop and propagates; its message goes back and is charged, see `consume`.

        Args:
            options: `block` and `timeout` of `consume`.
        """
        check_options(options)
        if function is not None and not callable(function):
            raise TypeError(
                f"@queue.worker decorates a function, not {function!r:.80}; its options have names, such as timeout=1"
            )
        if function is None:
            return lambda wrapped: self.worker(wrapped, **options)
        if inspect.iscoroutinefunction(function):
            return aqueue.wrapped(self.aconsume, function, options)
        return consume.wrapped(self.consume, function, options)

    @property
    def _in_memory(self) -> MemoryList | None:
        """The messages, inside `queue.testing()`."""
        return None if testing_mode.sandbox is None else memory.list_of(self._store, self.name)

    def _local(self) -> Local:
        """Return what this process keeps; a forked child starts anew."""
        if self._kept.pid != os.getpid():
            self._kept = Local(self.name, self._store)
        return self._kept
