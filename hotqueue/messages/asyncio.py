"""The queue in asyncio: what `queue.aput`, `aget`, `aconsume` and an `async def` worker do. No thread waits for messages.

Cancelling loses nothing: waiting changes nothing in Redis, and taking can be undone. Per queue and event loop one
coroutine waits in Redis, the others in a line for its place, so that many waiters need one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS, ConnectionFailed, QueueFull, SerializationError
from hotqueue.messages.codec import Codec
from hotqueue.messages.consume import FULL_PAUSE, Here
from hotqueue.messages.consumer import (
    CHARGED,
    DEAD,
    DONE,
    PACKAGE,
    SLICE,
    Call,
    Loop,
    Outage,
    Steps,
    awaiting,
    is_slow,
    log,
    log_dead,
)
from hotqueue.messages.memory import AsyncMemoryHolder
from hotqueue.runtime import in_place
from hotqueue.store import scripts
from hotqueue.store.store import PATIENCE, Store

if TYPE_CHECKING:
    from hotqueue.queue import HotQueue

MARK_KEPT = 60  # seconds for which a pop can be repeated or undone; far more than the time for which it is tried


async def put(queue: HotQueue, raw: list[bytes]) -> None:
    """Append serialized messages."""
    if raw:
        await queue.store.arepeat(lambda: _push(queue, raw), twice=False)


async def _push(queue: HotQueue, raw: list[bytes]) -> None:
    doing = f"put on {queue.key}"
    if queue.max_queue_length is None:
        await queue.store.acommand("RPUSH", queue.key, *raw, doing=doing)
    else:
        args = [queue.max_queue_length, *raw]
        queue.refuse_overflow(await queue.store.arun(scripts.load(PACKAGE, "put"), [queue.key], args, doing), len(raw))


async def get(here: Here, block: bool, limit: float | None) -> bytes | None:
    """Remove and return the oldest message, waiting at most `limit` seconds."""
    deadline = None if limit is None else time.monotonic() + limit
    raw = await _pop(here)
    while raw is None:
        if await adrive(here.sweep.steps(), lambda call: here.store.arepeat(lambda: send(here.store, call))):
            raw = await _pop(here)
            continue
        left = SLICE if deadline is None else deadline - time.monotonic()
        if not block or left <= 0:
            return None
        call = awaiting(here.name, left)
        await here.store.arepeat(functools.partial(wait, here, call), blocks=call.blocks)
        raw = await _pop(here)
    return raw


async def _pop(here: Here) -> bytes | None:
    """Remove the oldest message under a numbered mark, which makes a lost reply and a cancellation good."""
    mark = here.marks.pop() if here.marks else Mark(here.name)
    mark.number += 1
    try:
        raw: bytes | None = await here.store.arepeat(functools.partial(mark.pop, here.store))
    except asyncio.CancelledError:
        await insist(lambda: here.store.arepeat(functools.partial(mark.unpop, here.store)))
        raise
    except ConnectionFailed as error:
        if not error.sent:
            raise
        raise ConnectionFailed(f"{error}: one message may have been taken from {mark.keys[0]}, and lost") from error
    here.marks.append(mark)  # for the next one: as many marks as there are gets at once
    return raw


class Mark:
    """A name under which messages are removed one after another."""

    def __init__(self, name: str) -> None:
        self.keys = [keys.queue(name), keys.taken(name, secrets.token_hex(8))]
        self.number = 0
        self._sent = 0  # number of the last pop that was tried

    async def pop(self, store: Store) -> bytes | None:
        """Try the pop of this number, for the first time or again."""
        again = self._sent == self.number
        self._sent = self.number
        args = [self.number, MARK_KEPT, int(again)]
        found: bytes | None = await store.arun(scripts.load(PACKAGE, "pop"), self.keys, args, f"get from {self.keys[0]}")
        return found

    async def unpop(self, store: Store) -> None:
        """Put back what the pop of this number took, or will take."""
        await store.arun(scripts.load(PACKAGE, "unpop"), self.keys, [self.number, MARK_KEPT], "undoing a get")


async def insist(operation: Callable[[], Awaitable[Any]]) -> Any:
    """Finish an operation that may run twice, although this coroutine is cancelled, once or more; failing is logged."""
    while True:
        try:
            return await operation()
        except asyncio.CancelledError:
            continue  # the caller raises the first one again when this is done
        except STORE_ERRORS as error:
            log.warning("a message may have been lost on cancelling: %s", error)
            return None


async def loaded(here: Here, codec: Codec, raw: bytes) -> Any:
    """Return the message; move one that cannot be loaded to dead-messages."""
    try:
        return codec.loads(raw)
    except SerializationError as error:
        dead = keys.dead_messages(here.name)
        try:
            await here.store.arepeat(lambda: here.store.acommand("RPUSH", dead, raw, doing=f"moving it to {dead}"), twice=False)
        except STORE_ERRORS as failure:
            raise SerializationError(f"{error}; {failure}") from error
        raise SerializationError(f"{error}; it was moved to {dead}") from error


class Holder:
    """Makes the calls of one consume loop, see `consume.Holder`."""

    def __init__(self, here: Here, patience: float | None) -> None:
        self._here = here
        self._patience = patience
        self._outage = Outage(here.name)
        self.loop = Loop(here.name, here.sweep)
        here.leases.add(self.loop)

    async def next(self, block: bool, limit: float | None) -> Any:
        """Settle the message in hand and return the next, or None."""
        return await adrive(self.loop.next(block, limit), self._steadily)

    async def _steadily(self, call: Call) -> Any:
        store = self._here.store
        try:
            return await store.arepeat(lambda: self._attempt(call), patience=self._patience, blocks=call.blocks)
        except ConnectionFailed as error:
            if not is_slow(error):
                raise
        return await store.arepeat(lambda: self._attempt(call), patience=self._patience, blocks=call.blocks)

    async def _attempt(self, call: Call) -> Any:
        try:
            reply = await (wait(self._here, call) if call.blocks else send(self._here.store, call))
        except ConnectionFailed as error:
            self._outage.began(error)
            raise
        self._outage.ended()
        return reply

    async def leave(self) -> None:
        """Give back what is held; where that fails, look dead, so that others do it. Never raises."""
        self._here.leases.drop(self.loop)
        consumer, store = self.loop.consumer, self._here.store
        patience = 0 if self._outage.is_on else PATIENCE
        try:
            moved = await insist(lambda: store.arepeat(lambda: send(store, consumer.leave()), patience=patience))
            if moved is not None:
                consumer.left(moved)
        finally:
            consumer.abandon()


async def messages(here: Here, codec: Codec, block: bool, limit: float | None) -> AsyncGenerator[Any, None]:
    """Yield messages, each held until the next one is asked for; see `consume.messages`."""
    kept = in_place.list_of(here.store, here.name)
    holder: Any = Holder(here, here.patience(block, limit)) if kept is None else AsyncMemoryHolder(kept)
    try:
        while (raw := await holder.next(block, limit)) is not None:
            consumer = holder.loop.consumer
            try:
                message = codec.loads(raw)
            except SerializationError as error:
                log_dead(here.name, error)
                consumer.settle(DEAD)
                continue
            try:
                yield message
            except Exception:
                consumer.settle(CHARGED)
                raise
            consumer.settle(DONE)
    finally:
        await holder.leave()


def wrapped(queue: HotQueue, function: Callable[..., Awaitable[Any]], options: dict[str, Any]) -> Callable[..., Awaitable[None]]:
    """Return a coroutine function as a consume loop."""

    @functools.wraps(function)
    async def loop(*args: Any, **kwargs: Any) -> None:
        async with contextlib.aclosing(queue.aconsume(**options)) as found:
            async for message in found:
                try:
                    await function(*args, message, **kwargs)
                except Exception as error:
                    await found.athrow(error)  # the generator sees it, charges the message and raises it again

    return loop


async def adrive(steps: Steps, make: Callable[[Call], Awaitable[Any]]) -> Any:
    """Make the calls that `steps` yields, one after another; return what it returns."""
    reply = None
    while True:
        try:
            call = steps.send(reply)
        except StopIteration as end:
            return end.value
        reply = await make(call)


async def send(store: Store, call: Call) -> Any:
    """Make one call that does not block."""
    if call.script is None:
        return await store.acommand(*call.args, doing=call.doing)
    return await store.arun(call.script, call.keys, call.args, call.doing)


async def wait(here: Here, call: Call) -> None:
    """Make a call that waits, when its turn in the line comes; return when it is answered or its time is over."""
    line = here.store.loop_client().lines.setdefault(here.name, asyncio.Lock())
    try:
        async with asyncio.timeout(call.blocks):
            await line.acquire()
    except TimeoutError:
        return
    try:
        await here.store.acommand(*call.args, doing=call.doing, blocks=call.blocks)
    except QueueFull:
        await asyncio.sleep(min(call.blocks, FULL_PAUSE))
    finally:
        line.release()
