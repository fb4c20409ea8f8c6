"""The consume loop of threads: takes a message, holds it until the next turn, rides out outages.

Here live the things a queue object keeps per process; what the calls are and mean is in `consumer`.
"""

from __future__ import annotations

import contextlib
import functools
import opcode
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS, ConnectionFailed, QueueFull, SerializationError
from hotqueue.hints import did_you_mean
from hotqueue.messages.codec import Codec
from hotqueue.messages.consumer import (
    BACK,
    CHARGED,
    DEAD,
    DONE,
    LEASE,
    PACKAGE,
    SLICE,
    Call,
    Loop,
    Outage,
    Steps,
    Sweep,
    is_slow,
    log,
    log_dead,
)
from hotqueue.messages.memory import MemoryHolder
from hotqueue.runtime import in_place
from hotqueue.runtime.ending import start_thread
from hotqueue.store import scripts
from hotqueue.store.blocking import Blocking
from hotqueue.store.store import PATIENCE, Store

if TYPE_CHECKING:
    from hotqueue.queue import HotQueue

WORKER_OPTIONS = ("block", "timeout")
RENEWAL = 30.0  # seconds between two renewals of the leases
FULL_PAUSE = 0.2  # seconds between looks at the list of a full server, which refuses BLMOVE but can be drained
_DROPS = frozenset({"POP_TOP", "POP_ITER"})  # what `break` and `return` do to the iterator of a for loop


class Here:
    """What a queue object keeps in one process; a forked child makes its own."""

    def __init__(self, name: str, store: Store) -> None:
        self.pid = os.getpid()
        self.name = name
        self.store = store
        self.sweep = Sweep(name)
        self.leases = Leases(name, store)
        self.marks: list[Any] = []  # of asyncio gets
        self._idle: list[Blocking] = []

    def patience(self, block: bool, limit: float | None) -> float | None:
        """Return the seconds of an outage after which a loop with these options gives up; None never does."""
        usual = self.store.patience
        return None if usual is None or (block and limit is None) else max(usual, limit or 0)

    def run_sweep(self) -> int:
        """Give back what dead consumers hold; return how many messages that was."""
        return int(drive(self.sweep.steps(), lambda call: self.store.repeat(lambda: send(self.store, call))))

    @contextlib.contextmanager
    def blocking(self) -> Generator[Blocking, None, None]:
        """Lend a connection for blocking commands of at most SLICE seconds."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.store.blocking(keys.queue(self.name), SLICE)
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Drop the idle connections."""
        while self._idle:
            self._idle.pop().close()


class Leases:
    """A daemon thread that renews the leases of this process's consumers, as long as there are any."""

    def __init__(self, name: str, store: Store) -> None:
        self._name, self._store = name, store
        self._lock = threading.Lock()
        self._loops: set[Loop] = set()
        self._thread: threading.Thread | None = None

    def add(self, loop: Loop) -> None:
        """Renew the lease of this loop's consumer from now on."""
        with self._lock:
            self._loops.add(loop)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"hotqueue leases of {self._name}", daemon=True)
                self._thread = (
                    thread if start_thread(thread) else None
                )  # without: it lives for one lease, here for as long as its presence

    def drop(self, loop: Loop) -> None:
        """Stop renewing; the thread ends at its next round when no loop is left."""
        with self._lock:
            self._loops.discard(loop)

    def _run(self) -> None:
        pause = RENEWAL
        while True:
            time.sleep(pause)
            with self._lock:
                if not self._loops:
                    self._thread = None
                    return
                consumers = sorted(loop.consumer.id for loop in self._loops)
            try:
                self.renew(consumers)
                pause = RENEWAL
            except Exception as error:  # whatever it is: this thread must not die while a consumer lives
                log.debug("renewing leases: %s", error)
                pause = FULL_PAUSE

    def renew(self, consumers: list[str]) -> None:
        """Renew these leases now."""
        found = [keys.consumers(self._name), *(keys.consumer(self._name, each) for each in consumers)]
        args = [int(LEASE * 1000), *consumers]
        self._store.run(scripts.load(PACKAGE, "renew"), found, args, "renewing leases")


class Holder:
    """Makes the calls of one consume loop.

    Args:
        patience: seconds of an outage after which the loop gives up; None never does.
    """

    def __init__(self, here: Here, patience: float | None) -> None:
        self._here = here
        self._patience = patience
        self._outage = Outage(here.name)
        self.loop = Loop(here.name, here.sweep)
        here.leases.add(self.loop)

    def next(self, block: bool, limit: float | None) -> Any:
        """Settle the message in hand and return the next, or None."""
        if self._here.pid != os.getpid():
            self._here = Here(self._here.name, self._here.store)
            self._here.leases.add(self.loop)
        return drive(self.loop.next(block, limit), self._steadily)

    def _steadily(self, call: Call) -> Any:
        store = self._here.store
        try:
            return store.repeat(lambda: self._attempt(call), patience=self._patience)
        except ConnectionFailed as error:
            if not is_slow(error):
                raise
        return store.repeat(lambda: self._attempt(call), patience=self._patience)

    def _attempt(self, call: Call) -> Any:
        try:
            reply = self._wait(call) if call.blocks else send(self._here.store, call)
        except ConnectionFailed as error:
            self._outage.began(error)
            raise
        self._outage.ended()
        return reply

    def _wait(self, call: Call) -> Any:
        with self._here.blocking() as connection:
            try:
                return connection.call(*call.args)
            except QueueFull:
                time.sleep(min(call.blocks, FULL_PAUSE))
                return None

    def leave(self) -> None:
        """Give back what is held. Where that fails, say so and look dead, so that others do it; never raise."""
        self._here.leases.drop(self.loop)
        consumer = self.loop.consumer
        if not consumer.is_mine:
            return
        try:
            patience = 0 if self._outage.is_on else PATIENCE
            consumer.left(self._here.store.repeat(lambda: send(self._here.store, consumer.leave()), patience=patience))
        except STORE_ERRORS as error:
            log.warning("a message may still be held, other consumers will give it back: %s", error)
        finally:
            consumer.abandon()


def messages(here: Here, codec: Codec, block: bool, limit: float | None, ack_on_break: bool) -> Generator[Any, None, None]:
    """Yield messages, each held until the next one is asked for.

    A generator is only closed when its `for` loop ends early: `break` and an exception look alike. So the message goes
    back uncharged, unless the exception can be seen: thrown in (as `worker` does), or while `contextlib.closing` handles
    it; and `ack_on_break` takes as done only what surely was a `break` or `return`.
    """
    kept = in_place.list_of(here.store, here.name)
    holder: Any = Holder(here, here.patience(block, limit)) if kept is None else MemoryHolder(kept)
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
                log_dead(here.name, error)
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


def drive(steps: Steps, make: Callable[[Call], Any]) -> Any:
    """Make the calls that `steps` yields, one after another; return what it returns."""
    reply = None
    while True:
        try:
            call = steps.send(reply)
        except StopIteration as end:
            return end.value
        reply = make(call)


def send(store: Store, call: Call) -> Any:
    """Make one call that does not block."""
    if call.script is None:
        return store.command(call.keys[0], *call.args, doing=call.doing)
    return store.run(call.script, call.keys, call.args, call.doing)


def seconds(value: float | timedelta | None, what: str) -> float | None:
    """Return a duration as seconds; None stays None.

    Raises:
        TypeError: not an int, float, timedelta or None.
        ValueError: negative or not a number.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} takes seconds (int, float or timedelta) or None, not {value!r:.80}")
    if not value >= 0:
        raise ValueError(f"{what} takes seconds from 0, not {value!r:.80}; None waits for ever")
    return float(value)


def patience(block: bool, timeout: float | timedelta | None, call: str) -> float | None:
    """Return how many seconds a call with these options waits; None is for ever.

    Raises:
        TypeError: `block` is no flag: ``get(5)`` would wait for ever. As `seconds`.
        ValueError: as `seconds`.
    """
    if not isinstance(block, bool):
        hint = f"; did you mean timeout={block!r}?" if isinstance(block, int | float | timedelta) else ""
        raise TypeError(f"{call}(block=) takes True or False, not {block!r:.80}{hint}")
    return seconds(timeout, f"{call}(timeout=)")


def check_options(options: dict[str, Any]) -> None:
    """Raise TypeError for an option that `worker` does not know; TypeError or ValueError for a wrong value."""
    for name in options:
        if name not in WORKER_OPTIONS:
            hint = did_you_mean(name, WORKER_OPTIONS) or f"; known are {', '.join(WORKER_OPTIONS)}"
            raise TypeError(f"@queue.worker got an unknown option {name!r}{hint}")
    patience(options.get("block", True), options.get("timeout"), "@queue.worker")


def wrapped(queue: HotQueue, function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., None]:
    """Return `function` as a consume loop."""

    @functools.wraps(function)
    def loop(*args: Any, **kwargs: Any) -> None:
        with contextlib.closing(queue.consume(**options)) as found:
            for message in found:
                try:
                    function(*args, message, **kwargs)
                except Exception as error:
                    found.throw(error)  # the generator sees it, charges the message and raises it again

    return loop
