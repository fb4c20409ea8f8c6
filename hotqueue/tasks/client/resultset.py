"""ResultSet: the outcomes of many tasks together. Whoever stops waiting, in whatever way, is forgotten."""

from __future__ import annotations

import asyncio
import os
import queue as stdlib_queue
import time
from collections.abc import Generator, Iterable, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from hotqueue.errors import NoThread
from hotqueue.hints import hinting
from hotqueue.runtime.ending import in_thread
from hotqueue.runtime.interrupts import within
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.handle import answer_in, handle_of
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.waiters import Callback
from hotqueue.tasks.client.waiting import FIRST_LOOK, answers
from hotqueue.tasks.rules.callables import NotAwaited
from hotqueue.tasks.rules.options import seconds

R = TypeVar("R")
Ended = stdlib_queue.SimpleQueue[tuple[AsyncResult[R], Answer]]
Watching = dict[AsyncResult[Any], tuple[Replies, Callback]]


class ResultSet(NotAwaited, Generic[R]):
    """The results of many tasks, in the order in which they were sent: what `map` returns.

    >>> results = square.map(range(3))
    >>> results.get(timeout=10)
    [0, 1, 4]

    It has a length, an order and indices, as a list of `AsyncResult` has. Those of nested groups stand one after the other; `get`
    returns nested lists.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, results: Iterable[AsyncResult[R]], id: str | None = None, shape: Any = None) -> None:
        self._results = list(results)
        self._id = id
        self._shape = None if shape is None or all(type(part) is int for part in shape) else shape

    def __getstate__(self) -> dict[str, Any]:
        return {"results": self._results, **({} if self._id is None else {"id": self._id, "shape": self._shape})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._results, self._id, self._shape = state["results"], state.get("id"), state.get("shape")

    @property
    def id(self) -> str | None:
        """Of a group that was sent: ``queue.results(id)`` makes this again, in any process; None for what `map` returns."""
        return self._id

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        return iter(self._results)

    @overload
    def __getitem__(self, at: int) -> AsyncResult[R]: ...
    @overload
    def __getitem__(self, at: slice) -> ResultSet[R]: ...
    def __getitem__(self, at: int | slice) -> AsyncResult[R] | ResultSet[R]:
        return ResultSet(self._results[at]) if isinstance(at, slice) else self._results[at]

    def __repr__(self) -> str:
        return f"<ResultSet of {len(self._results)}>"

    @hinting
    def get(self, timeout: float | timedelta | None = None, propagate: bool = True) -> list[R]:
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

    @hinting
    async def aget(self, timeout: float | timedelta | None = None, propagate: bool = True) -> list[R]:
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

    def __await__(self) -> Generator[Any, None, list[R]]:
        return self.aget().__await__()

    def as_completed(self, timeout: float | timedelta | None = None) -> Iterator[AsyncResult[R]]:
        """Yield each result as its task ends. May be left at any moment.

        Raises:
            ResultTimeout: not all ended within `timeout` seconds.
        """
        allowed = None if timeout is None else seconds(timeout, "as_completed(timeout=)")
        deadline = None if allowed is None else time.monotonic() + allowed
        some_to_come = self._by_queue()
        left = {result for some in some_to_come for result in some}
        ended: Ended[R] = stdlib_queue.SimpleQueue()
        watching: Watching = {}
        pid = 0
        try:
            _watch(some_to_come, ended, watching)
            pid = os.getpid()
            yield from (result for result in self._results if result not in left)
            while left:
                if pid != os.getpid():  # in a forked process nobody reads for us but who is asked to
                    _watch([[r for r in some if r in left] for some in some_to_come], ended, watching)
                    pid = os.getpid()
                result, answer = _next(ended, left, deadline, allowed)
                left.discard(result)
                watching.pop(result, None)
                handle_of(result).keep(answer)
                yield result
        finally:
            for result, (replies, callback) in watching.items():  # perhaps in the garbage collector: no lock is taken here
                replies.unwatch(handle_of(result).id, callback)

    def ready(self) -> bool:
        """Tell whether all tasks have ended."""
        return all(result.ready() for result in self._results)

    def successful(self) -> bool:
        """Tell whether all tasks returned."""
        return all(result.successful() for result in self._results)

    def failed(self) -> bool:
        """Tell whether a task has failed."""
        return any(result.failed() for result in self._results)

    def completed_count(self) -> int:
        """Return how many tasks have returned so far."""
        return sum(result.successful() for result in self._results)

    def revoke(self, terminate: bool = False) -> int:
        """Keep those tasks from running that wait, of a group all steps of its workflow; see `AsyncResult.revoke`.

        Returns:
            How many are revoked.
        """
        if self._id is not None and self._results and not terminate:
            from hotqueue.tasks.workflow import results

            return results.revoke_all(self._results[0])
        return sum(result.revoke(terminate) == "revoked" for result in self._results)

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


def _watch(groups: list[list[AsyncResult[R]]], ended: Ended[R], watching: Watching) -> None:
    """Have what ends put into `ended`; note in `watching` what is to be called off."""
    for result in {result for some in groups for result in some}:
        watching[result] = handle_of(result).replies, _putter(ended, result)
        watching[result][0].watch(result.id, watching[result][1])
    for some in groups:
        if some:
            handle_of(some[0]).replies.ask([result.id for result in some])


def _putter(ended: Ended[R], result: AsyncResult[R]) -> Callback:
    return lambda _id, answer: ended.put((result, answer))


def _next(
    ended: Ended[R], left: set[AsyncResult[R]], deadline: float | None, allowed: float | None
) -> tuple[AsyncResult[R], Answer]:
    """Return the next result that has ended, of those that are left, and its answer."""
    while True:
        still = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            result, answer = ended.get(timeout=within(still))
        except stdlib_queue.Empty:
            if deadline is None or time.monotonic() < deadline:
                continue
            result = next(iter(left))
            return result, handle_of(result).last_look(allowed)
        if result in left:  # a forked process may get an answer twice
            return result, answer


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
