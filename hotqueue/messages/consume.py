"""The consume loop of threads: takes a message, holds it until the next turn, rides out outages.

What the calls are and mean is in `consumer`; what the queue keeps for its loops, in `local`.
"""

from __future__ import annotations

import contextlib
import functools
import opcode
import os
import sys
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

from hotqueue.errors import STORE_ERRORS, ConnectionFailed, QueueFull, SerializationError
from hotqueue.messages import memory
from hotqueue.messages.calls import drive, send
from hotqueue.messages.codec import Codec
from hotqueue.messages.consumer import BACK, CHARGED, DEAD, DONE, FULL_PAUSE, Call, Loop, Outage, is_slow, log, log_dead
from hotqueue.messages.local import Local
from hotqueue.store.timeouts import PATIENCE

Messages = Callable[..., Generator[Any, None, None]]  # `queue.consume`

_DROPS = frozenset({"POP_TOP", "POP_ITER"})  # what `break` and `return` do to the iterator of a for loop


class Holder:
    """Makes the calls of one consume loop.

    Args:
        patience: seconds of an outage after which the loop gives up; None never does.
    """

    def __init__(self, local: Local, patience: float | None) -> None:
        self._local = local
        self._patience = patience
        self._outage = Outage(local.name)
        self.loop = Loop(local.name, local.sweep)
        local.leases.add(self.loop)

    def next(self, block: bool, limit: float | None) -> Any:
        """Settle the message in hand and return the next, or None."""
        if self._local.pid != os.getpid():
            self._local = Local(self._local.name, self._local.store)
            self._local.leases.add(self.loop)
        return drive(self.loop.next(block, limit), self._steadily)

    def _steadily(self, call: Call) -> Any:
        store = self._local.store
        try:
            return store.repeat(lambda: self._attempt(call), patience=self._patience)
        except ConnectionFailed as error:
            if not is_slow(error):
                raise
        return store.repeat(lambda: self._attempt(call), patience=self._patience)

    def _attempt(self, call: Call) -> Any:
        try:
            reply = self._wait(call) if call.blocks else send(self._local.store, call)
        except ConnectionFailed as error:
            self._outage.began(error)
            raise
        self._outage.ended()
        return reply

    def _wait(self, call: Call) -> Any:
        with self._local.blocking() as connection:
            try:
                return connection.call(*call.args)
            except QueueFull:
                time.sleep(min(call.blocks, FULL_PAUSE))
                return None

    def leave(self) -> None:
        """Give back what is held. Where that fails, say so and look dead, so that others do it; never raise."""
        self._local.leases.drop(self.loop)
        consumer = self.loop.consumer
        if not consumer.is_mine:
            return
        try:
            patience = 0 if self._outage.is_on else PATIENCE
            consumer.left(self._local.store.repeat(lambda: send(self._local.store, consumer.leave()), patience=patience))
        except STORE_ERRORS as error:
            log.warning("a message may still be held, other consumers will give it back: %s", error)
        finally:
            consumer.abandon()


def messages(local: Local, codec: Codec, block: bool, limit: float | None, ack_on_break: bool) -> Generator[Any, None, None]:
    """Yield messages, each held until the next one is asked for.

    A generator is only closed when its `for` loop ends early: `break` and an exception look alike. So the message goes
    back uncharged, unless the exception can be seen: thrown in (as `worker` does), or while `contextlib.closing` handles
    it; and `ack_on_break` takes as done only what surely was a `break` or `return`.
    """
    kept = memory.list_of(local.store, local.name)
    holder: Any = Holder(local, local.patience(block, limit)) if kept is None else memory.MemoryHolder(kept)
    consumer = None
    try:
        while True:
            try:
                raw = holder.next(block, limit)
            except KeyboardInterrupt:
                return  # Ctrl-C while it waits: a quiet end
            if raw is None:
                return
            consumer = holder.loop.consumer
            try:
                message = codec.loads(raw)
            except SerializationError as error:
                log_dead(local.name, error)
                consumer.settle(DEAD)
                continue
            around = sys.exception()
            try:
                yield message
            except GeneratorExit as end:
                consumer.settle(_fate(end.__context__, around, ack_on_break and _is_break(sys._getframe().f_back)))
                raise
            except Exception:
                consumer.settle(CHARGED)
                raise
            consumer.settle(DONE)
    finally:
        holder.leave()


def _fate(seen: BaseException | None, around: BaseException | None, done: bool) -> str:
    if done:
        return DONE
    return CHARGED if isinstance(seen, Exception) and seen is not around else BACK


def _is_break(frame: FrameType | None) -> bool:
    """Tell whether a frame is just dropping a loop's iterator; False when not sure."""
    if frame is None or frame.f_lasti < 0:
        return False
    return opcode.opname[frame.f_code.co_code[frame.f_lasti]] in _DROPS


def wrapped(consume: Messages, function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., None]:
    """Return `function` as a consume loop."""

    @functools.wraps(function)
    def loop(*args: Any, **kwargs: Any) -> None:
        with contextlib.closing(consume(**options)) as found:
            for message in found:
                try:
                    function(*args, message, **kwargs)
                except Exception as error:
                    found.throw(error)  # the generator sees it, charges the message and raises it again

    return loop
