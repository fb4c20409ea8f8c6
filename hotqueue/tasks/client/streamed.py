"""Streamed: what a result shows of its task before that has ended: the items that it yields, and its progress.

What reads them is imported when somebody does.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from hotqueue.hints import hinting
from hotqueue.tasks.client.handle import HasHandle

if TYPE_CHECKING:
    from hotqueue.tasks.client.async_stream import AsyncStream
    from hotqueue.tasks.client.stream import Stream

R = TypeVar("R", covariant=True)
Y = TypeVar("Y")


class Streamed(HasHandle[R]):
    """The part of an `AsyncResult` that is of a running task."""

    __slots__ = ()

    @hinting
    def stream(
        self: Streamed[Iterable[Y] | AsyncIterable[Y]],
        start: int = 0,
        timeout: float | timedelta | None = None,
        *,
        backpressure: bool = False,
        attempt: int | None = None,
    ) -> Stream[Y]:
        """Return an iterator over what the task yields: the items so far, and then each as it comes, until the task has ended.

        Args:
            start: index of the item to begin with.
            timeout: seconds to wait for an item; None waits until one comes, or the task ends.
            backpressure: have the task wait for this reader, rather than throw away what that has not read.
            attempt: which attempt at the task `start` is an index of, for whoever goes on with an earlier reading.

        Raises:
            Exception: from the iterator, after the last item: what `get` raises.
            ResultTimeout: no item in time; says why.
            StreamRestarted: the task runs again, and yields from its first item; who goes on iterating gets these.
            StreamGap: items that were not read are not kept any more; who goes on iterating gets those that are.
        """
        from hotqueue.tasks.client.stream import Stream

        return Stream(self._handle, start, timeout, backpressure, attempt)

    @hinting
    def astream(
        self: Streamed[Iterable[Y] | AsyncIterable[Y]],
        start: int = 0,
        timeout: float | timedelta | None = None,
        *,
        backpressure: bool = False,
        attempt: int | None = None,
    ) -> AsyncStream[Y]:
        """Asyncio twin of `stream`, for ``async for``."""
        from hotqueue.tasks.client.async_stream import AsyncStream

        return AsyncStream(self._handle, start, timeout, backpressure, attempt)

    @hinting
    def watch(self, timeout: float | timedelta | None = None) -> Iterator[dict[str, Any]]:
        """Yield the task's progress, as it is and then as it changes, until the task has ended, in whatever way.

        Args:
            timeout: seconds to wait for the next change; None waits until there is one, or the task ends.

        Raises:
            ResultTimeout: no change in time; says why.
        """
        from hotqueue.tasks.client.watching import watch

        return watch(self._handle, timeout)

    @hinting
    def awatch(self, timeout: float | timedelta | None = None) -> AsyncIterator[dict[str, Any]]:
        """Asyncio twin of `watch`, for ``async for``."""
        from hotqueue.tasks.client.watching import awatch

        return awatch(self._handle, timeout)
