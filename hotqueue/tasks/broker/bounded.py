"""BoundedBroker: a queue that takes no more tasks than may wait, as whoever made it with `max_waiting=` sees it.

Only what programs send is refused or has to wait: a queue is not asked for room by retries, by what comes back from a worker, by
an outbox or by a schedule, all of which it has to take. See docs/decisions/0056.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import EllipsisType
from typing import Any, NamedTuple

from hotqueue.errors import DuplicateTask, NotTaken, QueueFull, SerializationError
from hotqueue.plurals import plural
from hotqueue.store.scripts import Script
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.duplicates import NONE_SENT, not_taken, partly_stored
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK

FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.25  # seconds between two looks for room


class Bound(NamedTuple):
    """How many tasks may wait.

    Attributes:
        timeout: seconds for which whoever sends waits for room; None is without end.
    """

    most: int
    timeout: float | None = 0.0


class _Refused(list[bool | str]):
    """What is said of the tasks of a trip of which nothing was stored.

    Attributes:
        waiting: how many tasks wait.
    """

    waiting = 0


class _Sending:
    """What is sent in parts: what was stored of it, and what to raise."""

    def __init__(self, tasks: Sequence[Encoded]) -> None:
        self._count = len(tasks)
        self.stored: list[bool | str] = []
        self._refused: dict[str, BaseException] = {}

    @contextmanager
    def going_on(self, some: Sequence[Encoded]) -> Iterator[None]:
        """Have what the server refuses of a part, for what it is, hold up no others; say of other errors what came before."""
        try:
            yield
        except SerializationError as error:
            if len(some) == self._count:
                raise
            ids = error.ids if isinstance(error, NotTaken) else {task.id for task in some}
            self._refused.update(dict.fromkeys(ids, error.__cause__ or error if isinstance(error, NotTaken) else error))
            self.stored += [True] * (len(some) - len(ids))
        except (QueueFull, DuplicateTask) as error:
            raise partly_stored(error, len(self.stored), self._count) from error.__cause__

    def end(self) -> list[bool | str]:
        """Return what is said of each.

        Raises:
            NotTaken: some were refused.
        """
        if self._refused:
            raise not_taken(self._refused, self._count)
        return self.stored


class BoundedBroker(Broker):
    """A queue of which this program says how many tasks may wait."""

    def __init__(self, store: Store, name: str, bound: Bound) -> None:
        super().__init__(store, name)
        self._bound = bound
        self.most_waiting = bound.most

    def enqueue(self, tasks: Sequence[Encoded], *, patience: float | EllipsisType | None = ...) -> list[bool | str]:
        """Store tasks, all of them or none, once they may wait; known ones take no room. As `Broker.enqueue`.

        Where that may take some time, more than half of what may wait is sent in parts, each all or none.

        Raises:
            QueueFull: there is no room for them, or was none in time; it says whether some were stored before.
        """
        sending = _Sending(tasks)
        for some in self._parts(tasks):
            with sending.going_on(some):
                sending.stored += self._enqueue_some(some, patience)
        return sending.end()

    def enqueue_one(self, task_id: str, envelope: bytes, line: bytes = b"") -> bool:
        """Store a task that may run at once, as `enqueue`."""
        return self.enqueue([Encoded(task_id, "", "", envelope)])[0] is True

    def begin_enqueue(self, tasks: Sequence[Encoded]) -> Callable[[], list[bool | str]]:
        """Send tasks as `enqueue` does, and wait for the answer: the next ones need room as well."""
        stored = self.enqueue(tasks)
        return lambda: stored

    async def aenqueue(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        """Asyncio twin of `enqueue`."""
        sending = _Sending(tasks)
        for some in self._parts(tasks):
            with sending.going_on(some):
                sending.stored += await self._aenqueue_some(some)
        return sending.end()

    def _parts(self, tasks: Sequence[Encoded]) -> Iterator[Sequence[Encoded]]:
        size = BULK if self._bound.timeout == 0 else max(1, self._bound.most // 2)
        for start in range(0, len(tasks), size):
            yield tasks[start : start + size]

    def _enqueue_some(self, tasks: Sequence[Encoded], patience: float | EllipsisType | None) -> list[bool | str]:
        wait = _Wait(self._bound, len(tasks))
        while True:
            stored = self._enqueue_together(tasks, patience)
            if not isinstance(stored, _Refused):
                return stored
            if wait.is_over or _is_on_loop():
                holds_up = not wait.is_over  # a loop has others to turn for
                raise queue_full(self.name, self._bound, len(tasks), stored.waiting, holds_up)
            for pause in wait.pauses():
                time.sleep(pause)
                if wait.is_room(self.store.repeat(self.count_waiting)):
                    break

    async def _aenqueue_some(self, tasks: Sequence[Encoded]) -> list[bool | str]:
        wait = _Wait(self._bound, len(tasks))
        while True:
            stored = await self._aenqueue_together(tasks)
            if not isinstance(stored, _Refused):
                return stored
            if wait.is_over:
                raise queue_full(self.name, self._bound, len(tasks), stored.waiting)
            for pause in wait.pauses():
                await asyncio.sleep(pause)
                if wait.is_room(await self.store.arepeat(self.acount_waiting)):
                    break

    def count_waiting(self) -> int:
        """Return how many tasks wait for a worker."""
        return int(self.store.run(scripts.COUNT_WAITING, self.script_keys.count_waiting(), [], "looking for room"))

    async def acount_waiting(self) -> int:
        """Asyncio twin of `count_waiting`."""
        every_key = self.script_keys.count_waiting()
        return int(await self.store.arun(scripts.COUNT_WAITING, every_key, [], doing="looking for room"))

    def _enqueue_args(self, tasks: Sequence[Encoded]) -> tuple[Script, list[str], list[Any]]:
        script, every_key, args = super()._enqueue_args(tasks)
        return script, every_key, [*args, self._bound.most]

    def _stored(self, answer: Sequence[Any], tasks: Sequence[Encoded]) -> list[bool | str]:
        if answer[0] != -1:
            return super()._stored(answer, tasks)
        refused = _Refused()
        refused.waiting = answer[1]
        return refused


def queue_full(name: str, bound: Bound, count: int, waiting: int, holds_up: bool = False) -> QueueFull:
    """Return the error of a queue in which so many tasks wait, and which has no room for `count` more.

    Args:
        holds_up: whether nobody waited, for it would have held up an event loop.
    """
    most, timeout = bound
    has = f"queue {name!r} has {plural(waiting, 'task')} waiting"
    if count > most:
        return QueueFull(f"{has}, and {count} at once are more than may ever wait, max_waiting={most}: send fewer in one trip")
    fits = f"{has}, and max_waiting={most} leaves no room for {'another' if count == 1 else f'{count} more'}"
    if holds_up:
        return QueueFull(f"{fits}; {NONE_SENT}: delay() would hold up this thread's event loop, await adelay() to wait for room")
    if timeout:
        return QueueFull(
            f"{fits}, nor did it within {timeout:g} s; {NONE_SENT}: start more workers, send later, or raise max_waiting"
        )
    return QueueFull(
        f"{fits}; {NONE_SENT}: start more workers, send later, wait for room with enqueue_timeout=, or raise max_waiting"
    )


class _Wait:
    """Waiting for room, in growing pauses; those of many senders do not fall together."""

    def __init__(self, bound: Bound, count: int) -> None:
        self._bound, self._count = bound, count
        fits_ever = count <= bound.most
        self._ends = None if bound.timeout is None and fits_ever else time.monotonic() + (bound.timeout or 0 if fits_ever else 0)
        self._pause = FIRST_PAUSE

    @property
    def is_over(self) -> bool:
        """True when nobody waits any longer."""
        return self._ends is not None and time.monotonic() >= self._ends

    def pauses(self) -> Iterator[float]:
        """Yield how many seconds to wait until the next look, until the time is over."""
        while not self.is_over:
            pause = self._pause * random.uniform(0.5, 1)
            self._pause = min(self._pause * 1.5, LONGEST_PAUSE)
            yield pause if self._ends is None else max(0.0, min(pause, self._ends - time.monotonic()))

    def is_room(self, waiting: int) -> bool:
        """Tell whether so many leave room."""
        return waiting + self._count <= self._bound.most


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
