"""The queue in asyncio: what `queue.aput`, `aget`, `aconsume` and an `async def` worker do.

No thread waits for messages. Cancelling loses nothing: waiting changes nothing in Redis, and taking can be undone. Per queue
and event loop one coroutine waits in Redis, the others in a line for its place, so that many waiters need one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS, ConnectionFailed, QueueFull, SerializationError
from hotqueue.messages import memory
from hotqueue.messages.calls import adrive, asend
from hotqueue.messages.codec import Codec
from hotqueue.messages.consumer import (
    CHARGED,
    DEAD,
    DONE,
    FULL_PAUSE,
    PACKAGE,
    SLICE,
    Call,
    Loop,
    Outage,
    awaiting,
    is_slow,
    log,
    log_dead,
)
from hotqueue.messages.local import Local
from hotqueue.store import scripts
from hotqueue.store.store import Store
from hotqueue.store.timeouts import PATIENCE

Messages = Callable[..., AsyncGenerator[Any, None]]  # `queue.aconsume`

MARK_KEPT = 60  # seconds for which a pop can be repeated or undone; far more than the time for which it is tried


async def put(store: Store, key: str, raw: list[bytes], most: int | None) -> int:
    """Append serialized messages; return how many there are now, or where they do not fit -1 less how many there were."""
    return int(await store.arepeat(lambda: _push(store, key, raw, most), twice=False)) if raw else 0


async def _push(store: Store, key: str, raw: list[bytes], most: int | None) -> Any:
    doing = f"put on {key}"
    if most is None:
        return await store.acommand("RPUSH", key, *raw, doing=doing)
    return await store.arun(scripts.load(PACKAGE, "put"), [key], [most, *raw], doing)


async def get(local: Local, block: bool, limit: float | None) -> bytes | None:
    """Remove and return the oldest message, waiting at most `limit` seconds."""
    deadline = None if limit is None else time.monotonic() + limit
    raw = await _pop(local)
    while raw is None:
        if await adrive(local.sweep.steps(), lambda call: local.store.arepeat(lambda: asend(local.store, call))):
            raw = await _pop(local)
            continue
        left = SLICE if deadline is None else deadline - time.monotonic()
        if not block or left <= 0:
            return None
        call = awaiting(local.name, left)
        await local.store.arepeat(functools.partial(wait, local, call), blocks=call.blocks)
        raw = await _pop(local)
    return raw


async def _pop(local: Local) -> bytes | None:
    """Remove the oldest message under a numbered mark, which makes a lost reply and a cancellation good."""
    mark = local.marks.pop() if local.marks else Mark(local.name)
    mark.number += 1
    try:
        raw: bytes | None = await local.store.arepeat(functools.partial(mark.pop, local.store))
    except asyncio.CancelledError:
        await insist(lambda: local.store.arepeat(functools.partial(mark.unpop, local.store)))
        raise
    except ConnectionFailed as error:
        if not error.sent:
            raise
        raise ConnectionFailed(f"{error}: one message may have been taken from {mark.keys[0]}, and lost") from error
    local.marks.append(mark)  # for the next one: as many marks as there are gets at once
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


async def loaded(local: Local, codec: Codec, raw: bytes) -> Any:
    """Return the message; move one that cannot be loaded to dead-messages."""
    try:
        return codec.loads(raw)
    except SerializationError as error:
        dead = keys.dead_messages(local.name)
        try:
            await local.store.arepeat(lambda: local.store.acommand("RPUSH", dead, raw, doing=f"moving it to {dead}"), twice=False)
        except STORE_ERRORS as failure:
            raise SerializationError(f"{error}; {failure}") from error
        raise SerializationError(f"{error}; it was moved to {dead}") from error


class Holder:
    """Makes the calls of one consume loop, see `consume.Holder`."""

    def __init__(self, local: Local, patience: float | None) -> None:
        self._local = local
        self._patience = patience
        self._outage = Outage(local.name)
        self.loop = Loop(local.name, local.sweep)
        local.leases.add(self.loop)

    async def next(self, block: bool, limit: float | None) -> Any:
        """Settle the message in hand and return the next, or None."""
        return await adrive(self.loop.next(block, limit), self._steadily)

    async def _steadily(self, call: Call) -> Any:
        store = self._local.store
        try:
            return await store.arepeat(lambda: self._attempt(call), patience=self._patience, blocks=call.blocks)
        except ConnectionFailed as error:
            if not is_slow(error):
                raise
        return await store.arepeat(lambda: self._attempt(call), patience=self._patience, blocks=call.blocks)

    async def _attempt(self, call: Call) -> Any:
        try:
            reply = await (wait(self._local, call) if call.blocks else asend(self._local.store, call))
        except ConnectionFailed as error:
            self._outage.began(error)
            raise
        self._outage.ended()
        return reply

    async def leave(self) -> None:
        """Give back what is held; where that fails, look dead, so that others do it. Never raises."""
        self._local.leases.drop(self.loop)
        consumer, store = self.loop.consumer, self._local.store
        patience = 0 if self._outage.is_on else PATIENCE
        try:
            moved = await insist(lambda: store.arepeat(lambda: asend(store, consumer.leave()), patience=patience))
            if moved is not None:
                consumer.left(moved)
        finally:
            consumer.abandon()


async def messages(local: Local, codec: Codec, block: bool, limit: float | None) -> AsyncGenerator[Any, None]:
    """Yield messages, each held until the next one is asked for; see `consume.messages`."""
    kept = memory.list_of(local.store, local.name)
    holder: Any = Holder(local, local.patience(block, limit)) if kept is None else memory.AsyncMemoryHolder(kept)
    try:
        while (raw := await holder.next(block, limit)) is not None:
            consumer = holder.loop.consumer
            try:
                message = codec.loads(raw)
            except SerializationError as error:
                log_dead(local.name, error)
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


def wrapped(
    consume: Messages, function: Callable[..., Awaitable[Any]], options: dict[str, Any]
) -> Callable[..., Awaitable[None]]:
    """Return a coroutine function as a consume loop."""

    @functools.wraps(function)
    async def loop(*args: Any, **kwargs: Any) -> None:
        async with contextlib.aclosing(consume(**options)) as found:
            async for message in found:
                try:
                    await function(*args, message, **kwargs)
                except Exception as error:
                    await found.athrow(error)  # the generator sees it, charges the message and raises it again

    return loop


async def wait(local: Local, call: Call) -> None:
    """Make a call that waits, when its turn in the line comes; return when it is answered or its time is over."""
    line = local.store.loop_client().lines.setdefault(local.name, asyncio.Lock())
    try:
        async with asyncio.timeout(call.blocks):
            await line.acquire()
    except TimeoutError:
        return
    try:
        await local.store.acommand(*call.args, doing=call.doing, blocks=call.blocks)
    except QueueFull:
        await asyncio.sleep(min(call.blocks, FULL_PAUSE))
    finally:
        line.release()
