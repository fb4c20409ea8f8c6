"""HasValues: the part of a ResultSet that waits for what all its tasks returned, in a thread or in asyncio.

What the values of tasks that yield are, type checkers are told here, as in value.py: what their generators return.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from hotqueue.errors import STORE_ERRORS, NoThread
from hotqueue.hints import hinting
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.answers import Answer, with_records
from hotqueue.tasks.client.handle import answer_in, handle_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.waiting import FIRST_LOOK, answers
from hotqueue.tasks.rules.callables import NotAwaited
from hotqueue.tasks.rules.lifecycle import State
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
        """Return all values in order; raises an error as soon as there is one: the first in that order, if there are several.

        Args:
            timeout: seconds for all of them together.
            propagate: False: wait for all, and return errors in the place of values.
        """
        allowed = None if timeout is None else seconds(timeout, "get(timeout=)")
        deadline = None if allowed is None else time.monotonic() + allowed
        self._raise_if(propagate)
        for some in self._by_queue():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            handles = [handle_of(result) for result in some]
            found = answers(handles[0], [handle.id for handle in handles], left, propagate)
            for handle in handles if propagate else ():
                if (answer := found.get(handle.id)) is not None and answer.is_error:
                    handle.outcome(answer, propagate)
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
        self._raise_if(propagate)
        for some in self._by_queue():
            try:
                found |= await _Together(some, allowed, deadline, propagate).answered()
            except NoThread:
                return self.get(timeout, propagate)  # the loop stands still meanwhile, at the end of its program
            for result in some if propagate else ():
                if (answer := found.get(result)) is not None and answer.is_error:
                    await handle_of(result).aoutcome(answer, propagate)
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

    def _raise_if(self, propagate: bool) -> None:
        """Raise the error that is known already, of one that was revoked, if errors are raised."""
        for result in self._results if propagate else ():
            handle = handle_of(result)
            if handle.has_outcome() and handle.record is not None and handle.record.state is not State.SUCCESS:
                handle.outcome(None, propagate)

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
    """A coroutine's wait for tasks of one queue, or, with `until_error`, for the first of them that fails.

    Args:
        allowed, deadline: seconds that the caller gave, and when they are over (monotonic).
    """

    def __init__(self, results: list[AsyncResult[Any]], allowed: float | None, deadline: float | None, until_error: bool) -> None:
        self._until_error, self._has_failed = until_error, False
        self._large: dict[AsyncResult[Any], Answer] = {}  # records that are to be read, as they may be errors
        self._left = {result.id: result for result in results}
        self._answers: dict[AsyncResult[Any], Answer] = {}
        self._replies = handle_of(results[0]).replies
        self._allowed, self._deadline = allowed, deadline
        self._loop = asyncio.get_running_loop()
        self._awake: asyncio.Future[None] = self._loop.create_future()

    async def answered(self) -> dict[AsyncResult[Any], Answer]:
        """Return the answers, once all are there, or an error is.

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
            self._take(result, answer)
        if (self._large or not self._is_waiting) and not self._awake.done():
            self._awake.set_result(None)

    def _take(self, result: AsyncResult[Any], answer: Answer) -> None:
        self._answers[result] = answer
        if self._until_error and answer.status == "B":
            self._large[result] = answer
        self._has_failed = self._has_failed or (self._until_error and answer.is_error)

    @property
    def _is_waiting(self) -> bool:
        return bool(self._left) and not self._has_failed

    async def _wait(self) -> None:
        """Wait for what the thread that reads the replies delivers; where it has no connection, look now and then."""
        pause = FIRST_LOOK
        while self._is_waiting:
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            await asyncio.wait({self._awake}, timeout=pause if left is None else min(pause, left))
            if self._awake.done():
                self._awake = self._loop.create_future()
                await self._read_large()
                continue
            is_last = left is not None and left <= pause
            if self._replies.trouble or is_last:
                await self._look(is_last)
            pause = FIRST_LOOK if self._replies.trouble else min(2 * pause, 30.0)

    async def _read_large(self) -> None:
        large, self._large = self._large, {}
        if not large or not self._is_waiting:
            return
        broker = handle_of(next(iter(large))).broker
        with contextlib.suppress(*STORE_ERRORS):  # else they are read when all is there
            read = await in_thread(with_records, broker, {result.id: answer for result, answer in large.items()})
            for result in large:
                self._take(result, read[result.id])

    async def _look(self, is_last: bool) -> None:
        for task_id, result in list(self._left.items()):
            looked = await handle_of(result).alook()
            if (answer := answer_in(looked)) is not None:
                self._note(task_id, answer)
            elif is_last and not self._has_failed:
                raise await in_thread(handle_of(result).timeout_error, self._allowed)
