"""Resuming: what a running task has kept for its next run, and its loops; what `current_task` does of that. No Redis here.

The task's worker stands behind it (`Backing`): it keeps what is to be kept, as long as the task is its own, and says when
to stop.
"""

from __future__ import annotations

import collections.abc
import itertools
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Generic, Protocol, Self, TypeVar

from hotqueue.errors import STORE_ERRORS, ConnectionFailed, Interruption, LeaseLost, SerializationError
from hotqueue.signing import Signer
from hotqueue.sizes import CHECKPOINT_MAX, TooLarge, in_words
from hotqueue.tasks.rules.loops import Loop, Loops, Pace
from hotqueue.tasks.wire import checkpoint, payload
from hotqueue.tasks.wire.checkpoint import Checkpoint

T = TypeVar("T")


class LeftBetweenItems(BaseException):
    """Ends a run between two items, as its worker stops: the task goes back, uncharged. What a task catches lets it pass."""


class Backing(Protocol):
    """What stands behind a running task."""

    signer: Signer | None

    @property
    def is_stopping(self) -> bool:
        """True once the task is to go on elsewhere, if it can."""

    def keep(self, task_id: str, data: bytes, patience: float | None, is_further: bool) -> bool:
        """Keep a checkpoint; False when the task is another's by now. Seconds of patience; None: the usual ones.

        `is_further` says, once, that this run has come further than those before.
        """

    async def akeep(self, task_id: str, data: bytes, is_further: bool) -> bool:
        """Asyncio twin of `keep`."""

    def kept(self, task_id: str) -> bytes | None:
        """Return what is kept."""

    async def akept(self, task_id: str) -> bytes | None:
        """Asyncio twin of `kept`."""


class Resuming:
    """What one run has of the runs before, and keeps for those to come.

    Args:
        data: what an earlier run kept.

    Attributes:
        resumed: the state that an earlier run gave.
        is_lost: True once the task is another worker's.
        has_kept: True once something is kept.
        is_further: True once something is that earlier runs had not come to.
    """

    def __init__(self, backing: Backing, task_id: str, data: bytes | None) -> None:
        self._backing, self._id = backing, task_id
        found = Checkpoint() if data is None else checkpoint.decode(data, task_id, backing.signer)
        self.resumed = payload.loads(found.state) if found.state else None
        self.is_lost, self.has_kept, self.is_further = False, data is not None, False
        self._found = found.state, found.positions
        self._state, self._next_state = found.state, found.state
        self._loops = Loops(found.positions)
        self._pace = Pace(found.ahead, time.monotonic())

    # --- states --------------------------------------------------------------------------------------------------

    def keep(self, state: Any) -> None:
        """Keep a state: now, or, inside of a loop, with the end of the item."""
        if self._takes(state):
            self._write(self._encoded(), None)

    async def akeep(self, state: Any) -> None:
        """Asyncio twin of `keep`."""
        if self._takes(state):
            await self._awrite(self._encoded())

    def _takes(self, state: Any) -> bool:
        self._next_state = _pickled(state)
        if self._loops.are_at_an_item:
            return False
        self._state = self._next_state
        return True

    def _encoded(self) -> tuple[bytes, float]:
        now = time.monotonic()
        ahead = self._pace.next(now)
        return checkpoint.encode(Checkpoint(self._state, self._loops.positions, ahead), self._id, self._backing.signer), now

    def _write(self, made: tuple[bytes, float], patience: float | None) -> None:
        is_new = self._is_newly_further()
        self._note(self._backing.keep(self._id, made[0], patience, is_new), made[1], is_new)

    async def _awrite(self, made: tuple[bytes, float]) -> None:
        is_new = self._is_newly_further()
        self._note(await self._backing.akeep(self._id, made[0], is_new), made[1], is_new)

    def _is_newly_further(self) -> bool:
        return not self.is_further and (self._state, self._loops.positions) != self._found

    def _note(self, is_ours: bool, began: float, is_new: bool = False) -> None:
        if not is_ours:
            self.is_lost = True
            raise LeaseLost(f"task {self._id} was given up here; another worker runs it, and goes on from what was kept before")
        self.has_kept, self.is_further = True, self.is_further or is_new
        self._pace.written(began, time.monotonic())

    # --- loops ---------------------------------------------------------------------------------------------------

    def begin(self) -> Loop:
        """Begin a loop."""
        return self._loops.begin()

    def end_item(self, loop: Loop) -> bool:
        """Note that an item has ended; tell whether to write that."""
        self._loops.end_item(loop)
        self._state = self._next_state
        return self._pace.is_due(time.monotonic())

    def write(self) -> None:
        """Write what has ended; while the server is away, wait for it, as nothing more may begin."""
        made = self._encoded()
        while True:
            try:
                return self._write(made, 1.0)
            except ConnectionFailed:
                self._go_or_leave()

    async def awrite(self) -> None:
        """Asyncio twin of `write`."""
        made = self._encoded()
        while True:
            try:
                return await self._awrite(made)
            except ConnectionFailed:
                self._go_or_leave()

    def _go_or_leave(self) -> None:
        if self._backing.is_stopping:
            raise LeftBetweenItems

    def is_to_leave(self) -> bool:
        """Tell, between two items, whether to go no further here.

        Raises:
            LeaseLost: the task is another worker's.
        """
        if self.is_lost:
            self._note(False, 0.0)
        return self._backing.is_stopping

    # --- the end -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Write what has ended and is not written, at the end of a run that another may follow."""
        if self._pace.is_behind and not self.is_lost:
            try:
                self._write(self._encoded(), 0.0)
            except (*STORE_ERRORS, LeaseLost):
                pass  # those items begin once more

    async def aleave(self) -> None:
        """Asyncio twin of `leave`."""
        if self._pace.is_behind and not self.is_lost:
            try:
                await self._awrite(self._encoded())
            except (*STORE_ERRORS, LeaseLost):
                pass


class Items(Generic[T]):
    """The items of a sequence, from the first one that has not ended in an earlier run: what `current_task.iterate` returns."""

    def __init__(self, resuming: Resuming, sequence: Iterable[T] | AsyncIterable[T]) -> None:
        if isinstance(sequence, set | frozenset):
            raise TypeError(
                f"iterate() takes items that come in the same order in every process, not a {type(sequence).__name__}"
            )
        if not isinstance(sequence, Iterable | AsyncIterable):
            raise TypeError(f"iterate() takes a sequence, not {sequence!r:.80}")
        self._resuming, self._sequence = resuming, sequence
        self._loop: Loop | None = None
        self._source: Iterator[T] | None = None
        self._async_source: AsyncIterator[T] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        run, loop = self._resuming, self._loop or self._begun()
        if self._source is None:
            self._source = _from(self._sequence, loop.index)
        if loop.is_out and run.end_item(loop):
            run.write()
        if run.is_to_leave():
            raise LeftBetweenItems
        item = next(self._source)
        loop.is_out = True
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        run, loop = self._resuming, self._loop or self._begun()
        if loop.is_out and run.end_item(loop):
            await run.awrite()
        if run.is_to_leave():
            raise LeftBetweenItems
        item = await self._next_of(loop.index)
        loop.is_out = True
        return item

    async def _next_of(self, index: int) -> T:
        if isinstance(self._sequence, AsyncIterable):
            if self._async_source is None:
                self._async_source = aiter(self._sequence)
                for _ in range(index):
                    await anext(self._async_source)
            return await anext(self._async_source)
        if self._source is None:
            self._source = _from(self._sequence, index)
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None

    def _begun(self) -> Loop:
        self._loop = self._resuming.begin()
        return self._loop

    def __del__(self) -> None:  # left by `break`: its item is not worked at any more
        loop = getattr(self, "_loop", None)
        if loop is not None:
            loop.is_out = False


def _from(sequence: Iterable[T] | AsyncIterable[T], index: int) -> Iterator[T]:
    """Return the items from one on; those of a sequence that has no list of them are not made to get there."""
    if isinstance(sequence, AsyncIterable):
        raise TypeError(f"{type(sequence).__name__} is for `async for`")
    if isinstance(sequence, collections.abc.Sequence) and not isinstance(sequence, list | tuple | str | bytes):
        return map(sequence.__getitem__, range(index, len(sequence)))
    return itertools.islice(sequence, index, None)


def _pickled(state: Any) -> bytes:
    try:
        data = payload.dumps(state)
    except TooLarge as error:
        size = error.size
    except Interruption:
        raise
    except Exception as error:
        raise SerializationError(
            f"checkpoint() cannot keep this state: {type(state).__name__} cannot be pickled ({error})"
        ) from error
    else:
        if len(data) <= CHECKPOINT_MAX:
            return data
        size = len(data)
    raise SerializationError(
        f"checkpoint() cannot keep this state: it takes {in_words(size)} pickled, and a checkpoint may have "
        f"{in_words(CHECKPOINT_MAX)}; store what is large elsewhere, and keep where"
    )
