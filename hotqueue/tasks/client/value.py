"""HasValue: the part of a result that waits for what its task returned, in a thread, in asyncio, or as a future.

What the value of a task that yields is, type checkers are told here: what its generator returns, and not the generator.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, overload

from hotqueue.errors import NoThread
from hotqueue.hints import hinting
from hotqueue.tasks.client import callbacks
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.callbacks import ResultFuture
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.streamed import Streamed
from hotqueue.tasks.client.waiting import answers, awaited
from hotqueue.tasks.rules.options import seconds

R = TypeVar("R", covariant=True)
V = TypeVar("V")
Seconds = float | timedelta | None


# What `get` goes through:
# 1. It asks the server once for the record, and is registered as waiting should there be none yet (replies.py).
# 2. Whoever ends the task puts its record, or that there is one, on the reply list of this process; one thread reads for all.
# 3. When time is up, it looks once more, and says in the error why the task waits (explain.py).
# 4. The record is kept, verified and loaded (handle.py).


class HasValue(Streamed[R]):
    """The part of an `AsyncResult` that waits for its task."""

    __slots__ = ()

    @overload
    def get(self: HasValue[Generator[Any, Any, V]], timeout: Seconds = None, propagate: bool = True) -> V: ...
    @overload
    def get(self: HasValue[AsyncIterator[Any]], timeout: Seconds = None, propagate: bool = True) -> None: ...
    @overload
    def get(self: HasValue[Iterator[Any]], timeout: Seconds = None, propagate: bool = True) -> Any: ...
    @overload
    def get(self, timeout: Seconds = None, propagate: bool = True) -> R: ...
    @hinting
    def get(self, timeout: Seconds = None, propagate: bool = True) -> Any:
        """Wait for the task and return its value, or raise what it raised.

        Args:
            timeout: seconds to wait; None waits until it ends.
            propagate: False returns the exception instead of raising it.

        Raises:
            ResultTimeout: not finished in time; says why.
            Exception: the task's own, its remote traceback as the cause; RemoteError for one that cannot be made
                here, or that must not be raised here (`SystemExit` …).
            SerializationError: it ended well, but its result cannot be loaded here.
            TaskRevoked, TaskExpired, TaskRejected, WorkerLost: it ended without a value.
            UnknownTask: no such task, or its result has expired.
        """
        handle = self._handle
        if handle.has_outcome():
            return handle.outcome(None, propagate)
        allowed = None if timeout is None else seconds(timeout, "get(timeout=)")
        found = answers(handle, [handle.id], allowed)
        return handle.outcome(found.get(handle.id) or handle.last_look(allowed), propagate)

    @overload
    async def aget(self: HasValue[Generator[Any, Any, V]], timeout: Seconds = None, propagate: bool = True) -> V: ...
    @overload
    async def aget(self: HasValue[AsyncIterator[Any]], timeout: Seconds = None, propagate: bool = True) -> None: ...
    @overload
    async def aget(self: HasValue[Iterator[Any]], timeout: Seconds = None, propagate: bool = True) -> Any: ...
    @overload
    async def aget(self, timeout: Seconds = None, propagate: bool = True) -> R: ...
    @hinting
    async def aget(self, timeout: Seconds = None, propagate: bool = True) -> Any:
        """Asyncio twin of `get`; ``await result`` is the same without a timeout."""
        handle = self._handle
        if handle.has_outcome():
            return handle.outcome(None, propagate)
        allowed = None if timeout is None else seconds(timeout, "aget(timeout=)")
        try:
            answer = await awaited(handle, allowed)
        except NoThread:
            return self.get(timeout, propagate)  # the loop stands still meanwhile, at the end of its program
        return await handle.aoutcome(answer, propagate)

    @overload
    def __await__(self: HasValue[Generator[Any, Any, V]]) -> Generator[Any, None, V]: ...
    @overload
    def __await__(self: HasValue[AsyncIterator[Any]]) -> Generator[Any, None, None]: ...
    @overload
    def __await__(self: HasValue[Iterator[Any]]) -> Generator[Any, None, Any]: ...
    @overload
    def __await__(self) -> Generator[Any, None, R]: ...
    def __await__(self) -> Generator[Any, None, Any]:
        return self.aget().__await__()

    @overload
    def as_future(self: HasValue[Generator[Any, Any, V]]) -> Future[V]: ...
    @overload
    def as_future(self: HasValue[AsyncIterator[Any]]) -> Future[None]: ...
    @overload
    def as_future(self: HasValue[Iterator[Any]]) -> Future[Any]: ...
    @overload
    def as_future(self) -> Future[R]: ...
    def as_future(self) -> Future[Any]:
        """Return a `concurrent.futures.Future` that the result is delivered to; `asyncio.wrap_future` takes it.

        Its callbacks run in threads of ours. They may block, or wait for other results; what one raises is logged. `cancel`
        returns False: the task goes on, see `revoke`. A future that nobody holds on to, and that has no callback, is forgotten.
        """
        handle = self._handle
        pin: list[Any] = []
        future: ResultFuture[Any] = ResultFuture(pin)
        if handle.has_outcome():
            _complete(future, handle, None)
            return future
        replies, kept = handle.replies, weakref.ref(future)

        def complete(answer: Answer) -> None:
            if (found := kept()) is not None:
                _complete(found, handle, answer)
            pin.clear()

        def deliver(_id: str, answer: Answer) -> None:
            if handle.sandbox is None:
                callbacks.callers.call(partial(complete, answer))
            else:
                complete(answer)  # inside queue.testing() all is done when `delay` returns

        weakref.finalize(future, replies.unwatch, handle.id, deliver).atexit = False
        replies.subscribe(handle.id, deliver)
        return future


def _complete(future: Future[Any], handle: Handle[Any], answer: Answer | None) -> None:
    try:
        value = handle.outcome(answer, True)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)
