"""ResultSet: the outcomes of many tasks together. Whoever stops waiting, in whatever way, is forgotten."""

from __future__ import annotations

import os
import queue as stdlib_queue
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, TypeVar, overload

from hotqueue.runtime.interrupts import within
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.client.result import AsyncResult, is_step
from hotqueue.tasks.client.values import HasValues
from hotqueue.tasks.client.waiters import Callback
from hotqueue.tasks.rules.options import seconds

R = TypeVar("R", covariant=True)
Ended = stdlib_queue.SimpleQueue[tuple[AsyncResult[R], Answer]]
Watching = dict[AsyncResult[Any], tuple[Replies, Callback]]


class ResultSet(HasValues[R]):
    """The results of many tasks, in the order in which they were sent: what `map` returns.

    >>> results = square.map(range(3))
    >>> results.get(timeout=10)
    [0, 1, 4]

    It has a length, an order and indices, as a list of `AsyncResult` has. Those of nested groups stand one after the other; `get`
    returns nested lists.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, results: Iterable[AsyncResult[R]], id: str | None = None, shape: Any = None) -> None:
        super().__init__(results, shape)
        self._id = id

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
        from hotqueue.tasks.workflow import results, revoking

        if self._id is not None and self._results and not terminate:
            return results.revoke_all(self._results[0])
        revoked = 0
        for some in self._by_queue():  # a step may be the last one of its workflow, of which more is to be revoked
            steps, alone = list[AsyncResult[R]](), list[AsyncResult[R]]()
            for result in some:
                (steps if is_step(result.id) or hasattr(handle_of(result), "graph") else alone).append(result)
            revoked += sum(result.revoke(terminate) == "revoked" for result in steps)
            revoked += revoking.revoke_many(alone, terminate)
        return revoked


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
