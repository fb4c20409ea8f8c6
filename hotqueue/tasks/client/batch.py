"""Batch: what is enqueued inside a ``with`` block goes out at its end, up to 1,000 tasks a trip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, TypeVar

from hotqueue.errors import NotTaken
from hotqueue.tasks.broker.broker import BULK

if TYPE_CHECKING:
    from types import TracebackType

    from hotqueue.tasks.client.registry import Registry

TRIP_BYTES = 8 * 1024 * 1024  # a trip with more than this waits for no further task

T = TypeVar("T")
Encoded = tuple[str, str, str, bytes]  # id, due, expires, envelope: see Broker.enqueue


class Batch:
    """The tasks that one thread, or one asyncio task, enqueues on a queue inside its block. `queue.batch()` makes it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._waiting: dict[str, list[Encoded]] = {}
        self._token: Token[Batch | None] | None = None
        self._thread = 0
        self._outer: Batch | None = None

    def __len__(self) -> int:
        """Return how many tasks were not sent yet."""
        return sum(map(len, self._waiting.values()))

    def __bool__(self) -> bool:
        """Return True, also of one with nothing in it."""
        return True

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} tasks for queue {self._registry.name!r}>"

    def send(self) -> None:
        """Send what was not sent yet; the end of the block does it. Safe to call again after an error.

        Raises:
            ConnectionFailed, QueueFull, SerializationError: as `delay`; `len(batch)` tasks were not acknowledged. Of those that
                go in one trip, the ones that the server refuses for their size hold up no others.
        """
        for name, trip in self._trips():
            with self._kept_if_refused(name, trip):
                self._registry.broker_of(name).enqueue(trip)

    async def asend(self) -> None:
        """Asyncio twin of `send`."""
        for name, trip in self._trips():
            with self._kept_if_refused(name, trip):
                await self._registry.broker_of(name).aenqueue(trip)

    def add(self, name: str, tasks: Sequence[Encoded]) -> None:
        """Keep tasks for the queue called `name`."""
        self._waiting.setdefault(name, []).extend(tasks)

    def _trips(self) -> Iterator[tuple[str, list[Encoded]]]:
        """Take out one trip after the other, so that nobody else sends it at the same time."""
        for name in list(self._waiting):
            while tasks := self._waiting[name]:
                trip = next(trips(tasks, lambda task: len(task[3])))
                del tasks[: len(trip)]
                yield name, trip

    @contextmanager
    def _kept_if_refused(self, name: str, trip: list[Encoded]) -> Iterator[None]:
        try:
            yield
        except NotTaken as error:
            self._waiting[name][:0] = [task for task in trip if task[0] in error.ids]
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

    def _collects(self, registry: Registry) -> bool:
        return self._registry is registry and self._token is not None and self._thread == threading.get_ident()

    def _open(self) -> None:
        if self._token is not None:
            raise RuntimeError("this batch is open already; queue.batch() makes another")
        self._outer, self._thread = _innermost.get(), threading.get_ident()
        self._token = _innermost.set(self)

    def _close(self) -> None:
        assert self._token is not None
        _innermost.reset(self._token)
        self._token = None  # but it still leads to the outer one, which may be open


_innermost: ContextVar[Batch | None] = ContextVar("hotqueue_batch", default=None)


def open_batch(registry: Registry) -> Batch | None:
    """Return the batch that tasks of a queue go to, here and now.

    An asyncio task, or a function in a thread, that was started inside a block inherits its batch: one that outlives the
    block finds it closed, and one in another thread might add to it while it is being sent.
    """
    batch = _innermost.get()
    while batch is not None and not batch._collects(registry):
        batch = batch._outer
    return batch


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
