"""Streams: the items of tasks that yield, in the store: added by the worker that runs one, read by anybody; and progress.

Why it is so: docs/decisions/0063. What yields is driven in execution/streaming.py, what reads is in client/stream.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS
from hotqueue.runtime.interrupts import within
from hotqueue.runtime.wake_pipe import Wakeup, readable
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue
from hotqueue.tasks.rules.history import json_object

ADDED, FULL = 1, 2  # what `stream_add` says; 0: it was refused
NEW, ON = "n", "c"  # how an attempt begins: with the first item, or where the one before ended
KEPT_BYTES = 64 * 1024 * 1024  # of one stream; what is older goes
READ_AT_ONCE = 1024 * 1024  # bytes
HELD_MS, WAITED_MS = 15_000, 1_500  # for which a task waits for a reader from whom nothing comes: who holds it up, and any other
LOG_TTL = 86_400  # seconds for which the lines that a task logged are kept, behind the last one
BLOCK = 1.0  # seconds that a reader blocks at most before it looks again
LATE = 1.0  # seconds after which it does though no reply came

ADDING, READING = "adding to a stream", "reading a stream"


@dataclass(slots=True)
class Some:
    """Some of a stream.

    Attributes:
        is_open: the task has not ended.
        attempt: which one; 0: none has begun.
        first: index of the first item that is kept.
        count: how many items there are so far.
        batches: each with the index behind its last item.
    """

    is_open: bool
    attempt: int
    first: int
    count: int
    batches: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Place:
    """Where a reader is in a stream.

    Attributes:
        attempt: which one it reads; 0: whichever there is.
        index: of the item that comes next.
        reader: who it is.
        is_held: the task waits until it has used what it has, and not only until it has read what there is.
    """

    attempt: int = 0
    index: int = 0
    reader: str = ""
    is_held: bool = False


class Streaming(StoredQueue):
    """What the running tasks of a queue say: their streams, and their progress."""

    def stream_add(
        self, worker: str, task_id: str, run: str, place: Place, batch: tuple[int, bytes], begin: str, most: int, ttl_ms: int
    ) -> tuple[int, int, int]:
        """Add a batch to the stream of a task that a worker runs; may be said again.

        Args:
            run: a name of its own for each run.
            place: the attempt, and the index of the batch's first item.
            batch: how many items, and the items.
            begin: NEW or ON; "" once the run has begun.
            most: how many items are kept.

        Returns:
            Code, attempt, and how many items there are.
        """
        every_key = self.script_keys.stream_add(worker, task_id)
        attempt = str(place.attempt) if place.attempt else ""
        args = [worker, keys.raw(task_id), run, attempt, place.index, *batch, begin, most, KEPT_BYTES, ttl_ms]
        code, found, count = self.store.run(scripts.STREAM_ADD, every_key, args, ADDING, repeatable=True)
        return code, int(found or 0), count

    def stream_ends(self, task_id: str, ttl_ms: int) -> None:
        """Have what a task has yielded stay so long, once it has ended in another way than at the end of a run."""
        for key in (keys.stream(self.name, task_id), keys.streamed(self.name, task_id)):
            self.store.command(key, "PEXPIRE", key, ttl_ms)

    def stream_read(self, task_id: str, place: Place, portion: int = READ_AT_ONCE, *, leaves: bool = False) -> Some:
        """Return some of a stream; for a while the task waits for this reader, before it throws away what that has not read.

        Args:
            portion: bytes, at most; one batch at least. 0: nothing.
            leaves: the task waits for it no more.
        """
        run = partial(self.store.run, scripts.STREAM_READ, *self._read_args(task_id, place, portion, leaves), doing=READING)
        return _some(self.store.repeat(run))

    async def astream_read(self, task_id: str, place: Place, portion: int = READ_AT_ONCE, *, leaves: bool = False) -> Some:
        """Asyncio twin of `stream_read`."""
        every_key, args = self._read_args(task_id, place, portion, leaves)
        return _some(await self.store.arepeat(lambda: self.store.arun(scripts.STREAM_READ, every_key, args, doing=READING)))

    def _read_args(self, task_id: str, place: Place, portion: int, leaves: bool) -> tuple[list[str], list[Any]]:
        attempt = str(place.attempt) if place.attempt else ""
        wait_ms = 0 if leaves else HELD_MS if place.is_held else WAITED_MS
        args = [keys.raw(task_id), attempt, place.index, portion, place.reader, wait_ms, "1" if place.is_held else ""]
        return self.script_keys.stream_read(task_id), args

    def stream_wait(self, task_id: str) -> StreamWait:
        """Return what waits for items of a stream, for one thread."""
        return StreamWait(self, keys.stream(self.name, task_id))

    async def astream_wait(self, task_id: str, place: Place, seconds: float) -> None:
        """Wait so long at most until there are items behind a place."""
        seconds = min(seconds, BLOCK)
        try:
            await self.store.acommand(*_blocking(keys.stream(self.name, task_id), place, seconds), doing=READING, blocks=seconds)
        except STORE_ERRORS:  # whoever reads is told
            await asyncio.sleep(0.05)

    # --- progress ------------------------------------------------------------------------------------------------

    def progress(self, task_id: str) -> dict[str, Any] | None:
        """Return what a task reported last."""
        key = keys.progress(self.name, task_id)
        return json_object(self.store.repeat(lambda: self.store.command(key, "GET", key)) or b"")

    async def aprogress(self, task_id: str) -> dict[str, Any] | None:
        """Asyncio twin of `progress`."""
        key = keys.progress(self.name, task_id)
        return json_object(await self.store.arepeat(lambda: self.store.acommand("GET", key)) or b"")

    def report(self, task_id: str, progress: dict[str, Any], ttl: int = 3600) -> None:
        """Publish a running task's progress."""
        key = keys.progress(self.name, task_id)
        self.store.repeat(lambda: self.store.command(key, "SET", key, json.dumps(progress), "EX", ttl))

    def tell(self, task_id: str, said: Mapping[str, Any]) -> None:
        """Publish what a running task says: its `progress`, or the `log` of its last lines, or both."""
        if "progress" in said:
            self.report(task_id, said["progress"])
        if "log" in said:
            key = keys.log(self.name, task_id)
            self.store.repeat(lambda: self.store.command(key, "SET", key, said["log"], "EX", LOG_TTL))

    def logged(self, task_id: str) -> bytes:
        """Return the last lines that a task logged, as they are stored; b"" where it logged none."""
        key = keys.log(self.name, task_id)
        found: bytes | None = self.store.repeat(lambda: self.store.command(key, "GET", key))
        return found or b""


class StreamWait:
    """Waits for items, over a connection of its own, which is made when it first has to wait. For one thread, but for `wake`."""

    def __init__(self, queue: StoredQueue, key: str) -> None:
        self._key = key
        self._blocking = queue.store.blocking(key, BLOCK)
        self._wakeup = Wakeup()

    def wait(self, place: Place, seconds: float) -> None:
        """Wait so long at most until there are items behind a place, or somebody called `wake`."""
        seconds = within(min(seconds, BLOCK))
        try:
            self._blocking.send(*_blocking(self._key, place, seconds))
            ready = readable([self._blocking.fileno(), self._wakeup.fileno()], seconds + LATE)
            if self._blocking.fileno() in ready:
                self._blocking.receive()
                return
        except STORE_ERRORS:  # whoever reads is told
            ready = []
        self._blocking.close()  # what it still brings is for nobody
        if self._wakeup.fileno() in ready:
            self._wakeup.clear()

    def wake(self) -> None:
        """End the wait, or the next one; for any thread."""
        self._wakeup.wake()

    def close(self) -> None:
        """Drop the connection."""
        self._blocking.close()


def _blocking(key: str, place: Place, seconds: float) -> tuple[Any, ...]:
    # Not the items: they are read as others are, in portions.
    return ("XREAD", "COUNT", 1, "BLOCK", max(1, int(seconds * 1000)), "STREAMS", key, f"{place.attempt}-{place.index}")


def _some(reply: Sequence[Any]) -> Some:
    is_open, attempt, first, count, *batches = reply
    return Some(is_open == 1, int(attempt or 0), first, count, list(zip(batches[::2], batches[1::2], strict=True)))
