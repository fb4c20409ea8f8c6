"""Batch: what is enqueued inside a ``with`` block goes out at its end, up to 1,000 tasks a trip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, TypeVar

from hotqueue.errors import DuplicateTask, NotTaken
from hotqueue.plurals import plural
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.client import Client, Collector, innermost, point

if TYPE_CHECKING:
    from types import TracebackType

TRIP_BYTES = 8 * 1024 * 1024  # a trip with more than this waits for no further task

T = TypeVar("T")


class Batch:
    """The tasks that one thread, or one asyncio task, sends through a queue inside the block: ``with queue.batch():``."""

    def __init__(self, client: Client) -> None:
        self._collector = Collector(client)
        self._token: Token[Collector | None] | None = None

    def __len__(self) -> int:
        """Return how many tasks were not sent yet."""
        return sum(map(len, self._collector.tasks.values()))

    def __bool__(self) -> bool:
        """Return True, also of one with nothing in it."""
        return True

    def __repr__(self) -> str:
        return f"<Batch of {plural(len(self), 'task')} for queue {self._collector.client.name!r}>"

    def send(self) -> None:
        """Send what was not sent yet; the end of the block does it. Safe to call again after an error.

        Raises:
            ConnectionFailed, QueueFull, SerializationError: as `delay`; `len(batch)` tasks were not acknowledged. Of those that
                go in one trip, the ones that the server refuses for their size hold up no others.
            DuplicateTask: unique tasks are there already, and nothing of their trip was sent; they are not in the batch any more.
        """
        for name, trip in self._trips():
            with self._kept_if_refused(name, trip):
                if self._collector.handles:
                    self._point(trip, self._collector.client.broker_of(name).enqueue_unique(trip))
                else:
                    self._collector.client.broker_of(name).enqueue(trip)

    async def asend(self) -> None:
        """Asyncio twin of `send`."""
        for name, trip in self._trips():
            with self._kept_if_refused(name, trip):
                if self._collector.handles:
                    self._point(trip, await self._collector.client.broker_of(name).aenqueue_unique(trip))
                else:
                    await self._collector.client.broker_of(name).aenqueue(trip)

    def _point(self, trip: list[Encoded], ids: list[str]) -> None:
        """Have the handles of unique tasks be those of the ones that were there before them."""
        handles = self._collector.handles
        pairs = [(handles.pop(task.id), known) for task, known in zip(trip, ids, strict=True) if task.id in handles]
        point([handle for handle, _ in pairs], [known for _, known in pairs])

    def _trips(self) -> Iterator[tuple[str, list[Encoded]]]:
        """Take out one trip after the other, so that nobody else sends it at the same time."""
        for name in list(self._collector.tasks):
            while tasks := self._collector.tasks[name]:
                trip = next(trips(tasks, lambda task: len(task.envelope)))
                del tasks[: len(trip)]
                yield name, trip

    @contextmanager
    def _kept_if_refused(self, name: str, trip: list[Encoded]) -> Iterator[None]:
        try:
            yield
        except NotTaken as error:
            self._collector.tasks[name][:0] = [task for task in trip if task.id in error.ids]
            raise
        except DuplicateTask as error:
            self._collector.tasks[name][:0] = [task for task in trip if task.id not in error.ids]
            raise
        except BaseException:
            self._collector.tasks[name][:0] = trip
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

    def _open(self) -> None:
        if self._token is not None:
            raise RuntimeError("this batch is open already; queue.batch() makes another")
        self._collector.outer, self._collector.thread = innermost.get(), threading.get_ident()
        self._token = innermost.set(self._collector)

    def _close(self) -> None:
        assert self._token is not None
        innermost.reset(self._token)
        self._token, self._collector.thread = None, 0


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
