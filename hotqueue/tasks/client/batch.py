"""Batch: what is enqueued inside a ``with`` block goes out at its end, up to 1,000 tasks a trip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, TypeVar

from hotqueue.errors import NotTaken
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.client import Client, Collector, innermost

if TYPE_CHECKING:
    from types import TracebackType

TRIP_BYTES = 8 * 1024 * 1024  # a trip with more than this waits for no further task

T = TypeVar("T")


class Batch:
    """The tasks that one thread, or one asyncio task, enqueues on a queue inside its block. `queue.batch()` makes it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, list[Encoded]] = {}
        self._token: Token[Collector | None] | None = None
        self._thread = 0
        self.outer: Collector | None = None

    def __len__(self) -> int:
        """Return how many tasks were not sent yet."""
        return sum(map(len, self._waiting.values()))

    def __bool__(self) -> bool:
        """Return True, also of one with nothing in it."""
        return True

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} tasks for queue {self._client.name!r}>"

    def send(self) -> None:
        """Send what was not sent yet; the end of the block does it. Safe to call again after an error.

        Raises:
            ConnectionFailed, QueueFull, SerializationError: as `delay`; `len(batch)` tasks were not acknowledged. Of those that
                go in one trip, the ones that the server refuses for their size hold up no others.
        """
        for name, trip in self._trips():
            with self._kept_if_refused(name, trip):
                self._client.broker_of(name).enqueue(trip)

    async def asend(self) -> None:
        """Asyncio twin of `send`."""
        for name, trip in self._trips():
            with self._kept_if_refused(name, trip):
                await self._client.broker_of(name).aenqueue(trip)

    def add(self, name: str, tasks: Sequence[Encoded]) -> None:
        """Keep tasks for the queue called `name`."""
        self._waiting.setdefault(name, []).extend(tasks)

    def _trips(self) -> Iterator[tuple[str, list[Encoded]]]:
        """Take out one trip after the other, so that nobody else sends it at the same time."""
        for name in list(self._waiting):
            while tasks := self._waiting[name]:
                trip = next(trips(tasks, lambda task: len(task.envelope)))
                del tasks[: len(trip)]
                yield name, trip

    @contextmanager
    def _kept_if_refused(self, name: str, trip: list[Encoded]) -> Iterator[None]:
        try:
            yield
        except NotTaken as error:
            self._waiting[name][:0] = [task for task in trip if task.id in error.ids]
            raise
        except BaseException:
            self._waiting[name][:0] = trip
            raise

    def __enter__(self) -> Batch:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        if kind is None:
            self.send()

    async def __aenter__(self) -> Batch:
        self._open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        if kind is None:
            await self.asend()

    def collects(self, client: Client) -> bool:
        """Tell whether what `client` sends here and now goes into this batch."""
        return self._client is client and self._token is not None and self._thread == threading.get_ident()

    def _open(self) -> None:
        if self._token is not None:
            raise RuntimeError("this batch is open already; queue.batch() makes another")
        self.outer, self._thread = innermost.get(), threading.get_ident()
        self._token = innermost.set(self)

    def _close(self) -> None:
        assert self._token is not None
        innermost.reset(self._token)
        self._token = None  # but it still leads to the outer one, which may be open


def trips(things: Sequence[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut tasks, or anything else, into what one trip carries, by count and by bytes."""
    trip: list[T] = []
    size = 0
    for thing in things:
        trip.append(thing)
        size += size_of(thing)
        if len(trip) == BULK or size > TRIP_BYTES:
            yield trip
            trip, size = [], 0
    if trip:
        yield trip
