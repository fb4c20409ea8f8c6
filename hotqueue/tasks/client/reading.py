"""Reading: how far one reader of a stream is, what it has read and not handed out, and what a restart or a gap means. No I/O."""

from __future__ import annotations

import os
import time
from collections import deque
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from hotqueue.errors import ConnectionFailed, Interruption, SerializationError, StreamGap, StreamRestarted
from hotqueue.hints import check_flag
from hotqueue.plurals import plural
from hotqueue.tasks.broker.streams import HELD_MS, Place, Some
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.rules.options import seconds, whole
from hotqueue.tasks.wire import items, payload

Y = TypeVar("Y")
PAUSE = 0.05  # seconds before the server, which was away, is asked again
SAY_AGAIN = HELD_MS / 3000  # seconds after which a reader that holds its task up says that it still reads


class Reading(Generic[Y]):
    """How far one reader is. Asks nobody.

    Attributes:
        index: of the item that comes next; `stream(start=)` takes it.
        attempt: which attempt at the task is read; None until one has begun.
    """

    _said_at = 0.0  # when the task was told last that this one reads (monotonic); 0: it does not know
    _is_over = False
    _replies: Replies | None = None  # whose thread waits for the end of the task

    def __init__(
        self, handle: Handle[Any], start: int, timeout: float | timedelta | None, backpressure: bool, attempt: int | None
    ) -> None:
        self._handle = handle
        self.index = whole(start, "start", "stream()", 0, None)
        self.attempt: int | None = attempt
        self._allowed = None if timeout is None else seconds(timeout, "stream(timeout=)")
        self._holds_up = check_flag(backpressure, "stream(backpressure=)")
        self._reader = os.urandom(8).hex()
        self._ready: deque[bytes] = deque()
        self._is_new = start == 0 and attempt is None  # whatever there is, it is where this one begins
        self._pid = os.getpid()

    @property
    def _place(self) -> Place:
        return Place(self.attempt or 0, self.index, self._reader, self._holds_up)

    @property
    def _is_to_say(self) -> bool:
        return self._holds_up and time.monotonic() - self._said_at > SAY_AGAIN

    def _left(self, began: float) -> float | None:
        """Return the seconds that are left until an item has to be here that was asked for then (monotonic)."""
        return None if self._allowed is None else max(0.0, began + self._allowed - time.monotonic())

    def _outlasts(self, error: ConnectionFailed, left: float | None) -> bool:
        """Tell whether to wait until the server is there again: who has begun does, as whoever waits for a result."""
        return bool(self._said_at) and error.retry and left != 0.0

    def _leaves(self) -> bool:
        """Tell, once, whether the task is to be told that this one reads no more."""
        said_at, self._said_at = self._said_at, 0.0
        return bool(said_at) and not self._is_over and self._pid == os.getpid()

    def _leave_later(self) -> None:
        """Have the thread that waits for the end say so; for the garbage collector, which may take no lock, nor a trip."""
        if self._replies is not None and self._leaves():
            read = self._handle.broker.stream_read
            self._replies.later(partial(read, self._handle.id, self._place, 0, leaves=True))

    def _take_in(self, some: Some) -> None:
        """Keep what was read."""
        self._said_at = time.monotonic()
        if some.attempt and some.attempt != self.attempt:
            self._begin(some)
        if some.batches and some.first > self.index:
            self._skip_to(
                some.first,
                "were not read in time, and are not kept: stream(backpressure=True) has the task wait for its reader, "
                "stream_max= keeps more",
            )
        for end, data in some.batches:
            batch = items.decode(data, self._handle.id, some.attempt, end, self._handle.signer) if data else []
            known = self.index + len(self._ready) - (end - len(batch))
            if known < 0:
                if self._ready:
                    break  # these come first
                self._skip_to(end - len(batch), "are lost: a server that had not passed them on was replaced by another")
                known = 0
            self._ready.extend(batch[known:])

    def _begin(self, some: Some) -> None:
        before, self.attempt = self.attempt, some.attempt
        if before is None:
            return
        some.batches.clear()
        if self.index == 0:
            return
        self.index, self._is_new = 0, True
        error = StreamRestarted(
            f"task {self._handle.id} runs again, and streams from its first item: forget what was read of it, and go on with "
            "this iterator; of a task that yields the same again, say stream_deterministic=True",
        )
        error.attempt = some.attempt
        raise error

    def _skip_to(self, first: int, why: str) -> None:
        before, self.index = self.index, first
        if self._is_new:
            return
        error = StreamGap(
            f"{plural(first - before, 'item')} of task {self._handle.id} from number {before} on {why}; next is number {first}",
        )
        error.first = first
        raise error

    def _next(self) -> Y:
        data = self._ready.popleft()
        self.index += 1
        self._is_new = False
        try:
            return payload.loads(data)  # type: ignore[no-any-return]
        except Interruption:
            raise
        except (Exception, SystemExit) as error:
            raise SerializationError(
                f"item {self.index - 1} of task {self._handle.id} cannot be loaded here ({type(error).__name__}: {error}); have "
                "this program import what the worker has, or yield values of built-in types"
            ) from error
