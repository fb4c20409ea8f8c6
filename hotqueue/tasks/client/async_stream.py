"""AsyncStream: the items of a task that yields, for whoever reads them in asyncio; the twin of stream.py."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, TypeVar

from hotqueue.errors import ConnectionFailed, NoThread, StreamGap, StreamRestarted
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.broker.streams import BLOCK
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.reading import PAUSE, Reading
from hotqueue.tasks.client.waiting import awaited

Y = TypeVar("Y")


class AsyncStream(Reading[Y]):
    """The items of a task, in order, for ``async for``; otherwise as `Stream`.

    Attributes:
        value: what the task returned, once the stream has ended.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, *args: Any) -> None:
        self._end: asyncio.Task[Answer] | None = None
        super().__init__(*args)
        self.value: Any = None

    def __aiter__(self) -> AsyncStream[Y]:
        return self

    async def __anext__(self) -> Y:
        if not self._ready and not self._is_over:
            await self._fill()
        if not self._ready:
            raise StopAsyncIteration
        if self._is_to_say:
            self._said_at = time.monotonic()
            await self._handle.broker.astream_read(self._handle.id, self._place, portion=0)
        return self._next()

    async def _fill(self) -> None:
        """Read until there are items, or the task has ended."""
        handle, began = self._handle, time.monotonic()
        try:
            if self._holds_up:
                self._watch_end()
            while not self._ready:
                try:
                    some = await handle.broker.astream_read(handle.id, self._place)
                except ConnectionFailed as error:
                    if not self._outlasts(error, self._left(began)):
                        raise
                    await asyncio.sleep(PAUSE)
                    continue
                self._take_in(some)
                if self._ready:
                    return
                if not some.is_open:
                    await self._conclude()
                    return
                left = self._left(began)
                if left == 0.0:
                    raise await in_thread(handle.timeout_error, self._allowed)
                await self._wait_for_more(BLOCK if left is None else min(left, BLOCK))
        except (StreamRestarted, StreamGap):
            raise
        except BaseException:
            await self.aclose()
            raise

    async def _conclude(self) -> None:
        """Keep what the task returned, or raise what it raised."""
        handle = self._handle
        answer = None if handle.has_outcome() else await awaited(handle, self._allowed)
        self._is_over = True
        await self.aclose()
        self.value = await handle.aoutcome(answer, True)

    def _watch_end(self) -> None:
        if self._end is None:
            self._replies, self._end = self._handle.replies, asyncio.ensure_future(awaited(self._handle, None))

    async def _wait_for_more(self, left: float) -> None:
        handle = self._handle
        if self._end is not None and self._end.done():  # of an end before this read, after which somebody revived the task
            await _over(self._end)
            self._end = None
        self._watch_end()
        assert self._end is not None
        coming = asyncio.ensure_future(handle.broker.astream_wait(handle.id, self._place, left))
        try:
            await asyncio.wait({coming, self._end}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._end.done() and isinstance(self._end.exception(), NoThread):
                await asyncio.wait({coming}, timeout=left)  # the program ends: it is looked now and then
        finally:
            await _over(coming)

    async def aclose(self) -> None:
        """Read no more for now; whoever holds the task up does so no more."""
        end, self._end, self._replies = self._end, None, None
        if end is not None:
            await _over(end)
        if self._leaves():
            await self._handle.broker.astream_read(self._handle.id, self._place, 0, leaves=True)

    async def __aenter__(self) -> AsyncStream[Y]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._leave_later()
        if (end := self._end) is not None and not end.done():
            with contextlib.suppress(RuntimeError):  # its loop is closed
                end.get_loop().call_soon_threadsafe(end.cancel)


async def _over(task: asyncio.Task[Any]) -> None:
    """End what somebody waited for."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen
