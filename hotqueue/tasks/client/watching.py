"""Watching a task's progress: what it reports, as it changes, until the task has ended. Beside streams, whose every item counts.

It is looked at as often as it can change, and ever less often while it does not; the end is waited for as a result is.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

from hotqueue.errors import NoThread
from hotqueue.runtime.ending import in_thread
from hotqueue.runtime.interrupts import within
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.waiting import awaited
from hotqueue.tasks.rules.options import seconds

Progress = dict[str, Any]
PAUSE, LONGEST_PAUSE = 0.1, 0.5  # seconds between two looks: a worker writes ten times a second at most


class _Pace:
    """How long it is until the next look."""

    def __init__(self, allowed: float | None) -> None:
        self._allowed = allowed
        self.changed()

    def changed(self) -> None:
        """Look again soon."""
        self._pause, self._since = PAUSE, time.monotonic()

    def pause(self) -> float | None:
        """Return the seconds until the next look; None when time is up."""
        found, self._pause = self._pause, min(1.2 * self._pause, LONGEST_PAUSE)
        if self._allowed is None:
            return found
        left = self._since + self._allowed - time.monotonic()
        return min(found, left) if left > 0 else None


def _allowed(timeout: float | timedelta | None) -> float | None:
    return None if timeout is None else seconds(timeout, "watch(timeout=)")


def watch(handle: Handle[Any], timeout: float | timedelta | None) -> Iterator[Progress]:
    """Yield progress until the task has ended; see `AsyncResult.watch`."""
    return _watch(handle, _allowed(timeout))


def _watch(handle: Handle[Any], allowed: float | None) -> Iterator[Progress]:
    ended = threading.Event()

    def note(_id: str, _answer: Answer) -> None:
        ended.set()

    pace, last, is_over = _Pace(allowed), None, False
    handle.replies.subscribe(handle.id, note)
    try:
        while not is_over:
            is_over = ended.is_set()  # before the look, so that this is the last one
            found = handle.broker.progress(handle.id)
            if found is not None and found != last:
                last = found
                yield found
                pace.changed()
            elif not is_over:
                if (wait := pace.pause()) is None:
                    raise handle.timeout_error(allowed)
                ended.wait(within(wait))
    finally:
        handle.replies.unwatch(handle.id, note)


def awatch(handle: Handle[Any], timeout: float | timedelta | None) -> AsyncIterator[Progress]:
    """Asyncio twin of `watch`."""
    return _awatch(handle, _allowed(timeout))


async def _awatch(handle: Handle[Any], allowed: float | None) -> AsyncIterator[Progress]:
    ended = asyncio.ensure_future(awaited(handle, None))
    pace, last, is_over = _Pace(allowed), None, False
    try:
        while not is_over:
            is_over = ended.done()
            found = await handle.broker.aprogress(handle.id)
            if found is not None and found != last:
                last = found
                yield found
                pace.changed()
            elif not is_over:
                if (wait := pace.pause()) is None:
                    raise await in_thread(handle.timeout_error, allowed)
                await asyncio.wait({ended}, timeout=wait)
        ended.result()
    finally:
        ended.cancel()
        with contextlib.suppress(asyncio.CancelledError, NoThread):
            await ended
