"""HasValues: the part of a ResultSet that waits for what all its tasks returned, in a thread or in asyncio.

What the values of tasks that yield are, type checkers are told here, as in value.py: what their generators return.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from hotqueue.errors import NoThread
from hotqueue.hints import hinting
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.handle import answer_in, handle_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.waiting import FIRST_LOOK, answers
from hotqueue.tasks.rules.callables import NotAwaited
from hotqueue.tasks.rules.options import seconds

R = TypeVar("R", covariant=True)
V = TypeVar("V")
Seconds = float | timedelta | None


class HasValues(NotAwaited, Generic[R]):
    """The part of a `ResultSet` that waits for all its tasks."""

    def __init__(self, results: Iterable[AsyncResult[R]], shape: Any = None) -> None:
        self._results = list(results)
        self._shape = None if shape is None or all(type(part) is int for part in shape) else shape

    @overload
    def get(self: HasValues[Generator[Any, Any, V]], timeout: Seconds = None, propagate: bool = True) -> list[V]: ...
    @overload
    def get(self: HasValues[AsyncIterator[Any]], timeout: Seconds = None, propagate: bool = True) -> list[None]: ...
    @overload
    def get(self: HasValues[Iterator[Any]], timeout: Seconds = None, propagate: bool = True) -> list[Any]: ...
    @overload
    def get(self, timeout: Seconds = None, propagate: bool = True) -> list[R]: ...
    @hinting
    def get(self, timeout: Seconds = None, propagate: bool = True) -> list[Any]:
        """Return all values in order; raises the first error in that order.

        Args:
            timeout: seconds for all of them together.
        """
        allowed = None if timeout is None else seconds(timeout, "get(timeout=)")
        deadline = None if allowed is None else time.monotonic() + allowed
        for some in self._by_queue():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            handles = [handle_of(result) for result in some]
            found = answers(handles[0], [handle.id for handle in handles], left)
            for handle in handles:
                handle.keep(found.get(handle.id) or handle.last_look(allowed))
        return self._shaped([_value(result, propagate) for result in self._results])

    @overload
    async def aget(self: HasValues[Generator[Any, Any, V]], timeout: Seconds = None, propagate: bool = True) -> list[V]: ...
    @overload
    async def aget(self: HasValues[AsyncIterator[Any]], timeout: Seconds = None, propagate: bool = True) -> list[None]: ...
    @overload
    async def aget(self: HasValues[Iterator[Any]], timeout: Seconds = None, propagate: bool = True) -> list[Any]: ...
    @overload
    async def aget(self, timeout: Seconds = None, propagate: bool = True) -> list[R]: ...
    @hinting
    async def aget(self, timeout: Seconds = None, propagate: bool = True) -> list[Any]:
        """Asyncio twin of `get`."""
        allowed = None if timeout is None else seconds(timeout, "aget(timeout=)")
        deadline = None if allowed is None else time.monotonic() + allowed
        found: dict[AsyncResult[R], Answer] = {}
        for some in self._by_queue():
            try:
                found |= await _Together(some, allowed, deadline).answered()
            except NoThread:
                return self.get(timeout, propagate)  # the loop stands still meanwhile, at the end of its program
        return self._shaped([await handle_of(result).aoutcome(found.get(result), propagate) for result in self._results])

    def _shaped(self, values: list[Any]) -> list[Any]:
        """Return the values as nested as the groups are."""
        return values if self._shape is None else _nested(self._shape, values)

    @overload
    def __await__(self: HasValues[Generator[Any, Any, V]]) -> Generator[Any, None, list[V]]: ...
    @overload
    def __await__(self: HasValues[AsyncIterator[Any]]) -> Generator[Any, None, list[None]]: ...
    @overload
    def __await__(self: HasValues[Iterator[Any]]) -> Generator[Any, None, list[Any]]: ...
    @overload
    def __await__(self) -> Generator[Any, None, list[R]]: ...
    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self.aget().__await__()

    def _by_queue(self) -> list[list[AsyncResult[R]]]:
        """Return the results that may still come, those together that are waited for in one place."""
        found: dict[Any, list[AsyncResult[R]]] = {}
        for result in self._results:
            handle = handle_of(result)
            if not handle.has_outcome():
                found.setdefault((handle.client, handle.queue, handle.sandbox), []).append(result)
        return list(found.values())


def _nested(shape: Any, values: list[Any]) -> Any:
    return [_nested(part, values) for part in shape] if isinstance(shape, list) else values[shape]


def _value(result: AsyncResult[R], propagate: bool) -> R:
    """Return the value of a task that has ended, or raise its error."""
    handle = handle_of(result)
    return handle.outcome(None, propagate) if handle.record else result.get(5, propagate)


class _Together:
    """A coroutine's wait for tasks of one queue.

    Args:
        allowed, deadline: seconds that the caller gave, and when they are over (monotonic).
    """

    def __init__(self, results: list[AsyncResult[Any]], allowed: float | None, deadline: float | None) -> None:
        self._left = {result.id: result for result in results}
        self._answers: dict[AsyncResult[Any], Answer] = {}
        self._replies = handle_of(results[0]).replies
        self._allowed, self._deadline = allowed, deadline
        self._loop = asyncio.get_running_loop()
        self._all: asyncio.Future[None] = self._loop.create_future()

    async def answered(self) -> dict[AsyncResult[Any], Answer]:
        """Return the answers, once all have ended.

        Raises:
            ResultTimeout: not in time.
        """
        ids = list(self._left)
        try:
            for task_id in ids:
                self._replies.watch(task_id, self._deliver)
            await self._replies.aask(ids)
            await self._wait()
        finally:
            for task_id in ids:
                self._replies.unwatch(task_id, self._deliver)
        return self._answers

    def _deliver(self, task_id: str, answer: Answer) -> None:
        try:
            self._loop.call_soon_threadsafe(self._note, task_id, answer)
        except RuntimeError:
            pass  # that loop was closed, and nobody waits in it any more

    def _note(self, task_id: str, answer: Answer) -> None:
        result = self._left.pop(task_id, None)
        if result is not None:
            self._answers[result] = answer
        if not self._left and not self._all.done():
            self._all.set_result(None)

    async def _wait(self) -> None:
        """Wait for what the thread that reads the replies delivers; where it has no connection, look now and then."""
        pause = FIRST_LOOK
        while self._left:
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            await asyncio.wait({self._all}, timeout=pause if left is None else min(pause, left))
            is_last = left is not None and left <= pause
            if self._left and (self._replies.trouble or is_last):
                await self._look(is_last)
            pause = FIRST_LOOK if self._replies.trouble else min(2 * pause, 30.0)

    async def _look(self, is_last: bool) -> None:
        for task_id, result in list(self._left.items()):
            looked = await handle_of(result).alook()
            if (answer := answer_in(looked)) is not None:
                self._note(task_id, answer)
            elif is_last:
                raise await in_thread(handle_of(result).timeout_error, self._allowed)
