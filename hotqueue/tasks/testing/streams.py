"""Streams inside `queue.testing()`: kept in memory, and read of it, as broker/streams.py does with Redis."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from hotqueue.tasks.broker.streams import READ_AT_ONCE, Place, Some
from hotqueue.tasks.context import Request
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.testing.storage import Entry, MemoryStream, Storage
from hotqueue.tasks.wire import items
from hotqueue.tasks.worker.outlet import pickled

A_WHILE = 0.005  # seconds


class MemoryChannel:
    """What a run says while it runs."""

    def __init__(self, storage: Storage, entry: Entry) -> None:
        self._storage, self._entry = storage, entry

    def report(self, _queue: str, task_id: str, progress: dict[str, Any]) -> None:
        """Keep progress."""
        self._storage.report(task_id, progress)

    def log(self, _request: Request, _line: str) -> None:
        """Keep no line: nobody looks at a task here."""

    def outlet(self, request: Request, options: TaskOptions) -> Any:
        """Return where the items of a generator go."""
        return MemoryOutlet(self._storage, self._entry, request, options)


class MemoryOutlet:
    """Where the items of one run go; see `execution.streaming.Outlet`."""

    is_full, is_done = False, True

    def __init__(self, storage: Storage, entry: Entry, request: Request, options: TaskOptions) -> None:
        self._id, self._name, self._signer = request.id, request.task, entry.registry.result_signer(storage.name)
        self._index = 0  # of the item that comes next
        with storage.lock:
            found = storage.streams.get(request.id)
            self._stream = storage.streams[request.id] = found or MemoryStream(options.stream_max)
            self._skipped = found.count if found and options.stream_deterministic else 0
            if found and not options.stream_deterministic:
                found.begin_anew()

    def put(self, value: Any) -> None:
        """Keep an item, as it would travel."""
        if self._index < self._skipped:
            self._index += 1
            return
        stream, data = self._stream, pickled(value, self._name, self._index)
        stream.add(items.encode([data], self._id, stream.attempt, stream.count + 1, self._signer))
        self._index += 1

    def end(self) -> None:
        """Take no more."""

    def check(self) -> None:
        """Raise nothing: an item is kept when it comes."""


class MemoryStreams:
    """What running tasks say: their streams, and their progress; the methods are those of `Streaming`."""

    _storage: Storage

    def stream_read(self, task_id: str, place: Place, portion: int = READ_AT_ONCE, *, leaves: bool = False) -> Some:
        """Return some of a stream."""
        storage = self._storage
        storage.end_if_expired(task_id)
        with storage.lock:
            found = storage.streams.get(task_id)
            some = Some(task_id in storage.unfinished, 0, 0, 0)
            if found is not None:
                some = Some(some.is_open, found.attempt, found.first, found.count)
                if place.attempt in (0, found.attempt) and portion:
                    at = max(0, place.index - found.first)
                    some.batches = [(found.first + n + 1, data) for n, data in enumerate(found.items) if n >= at]
        return some

    async def astream_read(self, task_id: str, place: Place, portion: int = READ_AT_ONCE, *, leaves: bool = False) -> Some:
        """Asyncio twin of `stream_read`."""
        return self.stream_read(task_id, place, portion)

    def stream_wait(self, _task_id: str) -> MemoryWait:
        """Return what waits for items."""
        return MemoryWait()

    async def astream_wait(self, _task_id: str, _place: Place, seconds: float) -> None:
        """Wait a while, in which there may be more."""
        await asyncio.sleep(min(seconds, A_WHILE))

    def progress(self, task_id: str) -> dict[str, Any] | None:
        """Return what a task reported last."""
        return self._storage.progress.get(task_id)

    async def aprogress(self, task_id: str) -> dict[str, Any] | None:
        """Asyncio twin of `progress`."""
        return self._storage.progress.get(task_id)

    def report(self, task_id: str, progress: dict[str, Any]) -> None:
        """Keep a running task's progress."""
        self._storage.report(task_id, progress)


class MemoryWait:
    """Waits for items."""

    def wait(self, _place: Place, seconds: float) -> None:
        """Wait a while."""
        time.sleep(min(seconds, A_WHILE))

    def wake(self) -> None:
        """End nothing: it is a short while."""

    def close(self) -> None:
        """Leave nothing."""
