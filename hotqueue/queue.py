"""HotQueue: a FIFO list in Redis. put, get, consume, worker; how messages are held is in `consume`, asyncio in `aqueue`.

Knows nothing of tasks but the one door to them, at the bottom of the class. Names no redis client and no pickle.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from datetime import timedelta
from typing import Any, Self, overload

from hotqueue import keys, signing
from hotqueue.errors import STORE_ERRORS, ConfigError, ConnectionFailed, QueueFull, SerializationError
from hotqueue.hints import check_flag, hinting
from hotqueue.messages import asyncio as aqueue
from hotqueue.messages import codec, consume
from hotqueue.messages.consume import Here, patience
from hotqueue.messages.consumer import PACKAGE, SLICE
from hotqueue.messages.memory import MemoryList
from hotqueue.runtime import in_place
from hotqueue.runtime.interrupts import within
from hotqueue.store import address, scripts
from hotqueue.store.blocking import LEAST_BLOCK
from hotqueue.store.store import Store
from hotqueue.tasks.methods import TaskDoor

Seconds = float | timedelta

# Queues of this process that were given a secret key, by name: what their pickles left behind is found here again.
_with_key: weakref.WeakValueDictionary[str, HotQueue] = weakref.WeakValueDictionary()


def key_for_name(name: str) -> str:
    """Return the Redis key of the list of queue `name`."""
    return keys.queue(name)


key_for_name.__module__ = "hotqueue"


class HotQueue(TaskDoor):
    """A FIFO queue of messages that maps to a list in Redis.

    >>> queue = HotQueue("myqueue", dbfilename="/tmp/redis.rdb")
    >>> queue.put(4)
    >>> queue.get()
    4

    Constructing one connects to nothing and starts nothing. One object may be used by many threads, survives fork, and
    can be pickled; with ``redis=``, the settings of that client travel.

    Args:
        name: of the queue; its messages are the list ``hotqueue:<name>``.
        serializer: anything with ``dumps`` and ``loads``; None stores text.
        redis: a redis.Redis or redis.RedisCluster client of the caller's, whose connection settings are used.
        max_queue_length: messages beyond which `put` raises QueueFull; None is unbounded.
        dbfilename: database file of an embedded server, or ":memory:" for a private one.
        url: where the store is, see `hotqueue.store.address.FORMS`. Without any: ``$HOTQUEUE_URL``, else the user's own server.
        durability: of an embedded server: "everysec", or "always" to have each write on disk before it is answered.
        patience: seconds for which a call such as `put` or `delay` goes on trying while the server cannot be reached, before it
            raises ConnectionFailed; None is without end.
        secret_key: signs tasks; raw messages are not signed. Several, separated by commas: the first signs, all verify. Without
            one: ``$HOTQUEUE_SECRET_KEY``. Stays behind when the queue is pickled, except for a child of multiprocessing.
        options: any keyword of redis.Redis (host, port, db, password, …).

    Raises:
        ConfigError: an impossible name, URL, secret key or combination.
        TypeError: an unknown option, or a serializer without dumps and loads.
    """

    __module__ = "hotqueue"  # what pickles name, wherever this file goes

    def __init__(
        self,
        name: str,
        serializer: Any = codec.DEFAULT,
        redis: Any = None,
        max_queue_length: int | None = None,
        *,
        dbfilename: str | os.PathLike[str] | None = None,
        url: str | None = None,
        durability: str = "everysec",
        patience: Seconds | None = address.PATIENCE,
        secret_key: str | None = None,
        **options: Any,
    ) -> None:
        self.name = keys.check_name(name)
        self.key = keys.queue(name)
        self.serializer = serializer
        self.max_queue_length = _checked_length(max_queue_length)
        self.secret_key = secret_key
        if secret_key is not None:
            signing.split(secret_key)  # refuse it here, where it was given
            _with_key[name] = self
        where: dict[str, Any] = {"dbfilename": dbfilename, "url": url, "client": redis, "durability": durability}
        self.store = Store(address.resolve(**where, patience=patience, options=options))
        self._process = Here(self.name, self.store)

    @property
    def serializer(self) -> Any:
        """What turns messages into bytes and back; may be set at any time."""
        return self._codec.serializer

    @serializer.setter
    def serializer(self, serializer: Any) -> None:
        self._codec = codec.Codec(serializer)

    def __repr__(self) -> str:
        return f"<HotQueue {self.name!r} in {self.store}>"

    def __getstate__(self) -> dict[str, Any]:
        kept = ("name", "key", "max_queue_length")
        state = {"serializer": codec.portable(self.serializer), **{name: getattr(self, name) for name in kept}}
        state["store"] = self.store.description()
        key = self.secret_key
        return {**state, "secret_key": key if key is None or signing.may_travel() else signing.KEPT_BACK}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in state.items() if name != "serializer"})
        if isinstance(self.store, dict):  # else it was pickled when a store went along as such
            self.store = Store.described(self.store)
        self.serializer = codec.restored(state["serializer"])
        if self.secret_key == signing.KEPT_BACK and (other := _with_key.get(self.name)) is not None:
            self.secret_key = other.secret_key
        self._process = Here(self.name, self.store)

    def __len__(self) -> int:
        """Return how many messages wait (not those that a consumer holds, nor tasks)."""
        if (here := self._in_place) is not None:
            return len(here)
        return int(self.store.repeat(lambda: self.store.command(self.key, "LLEN", self.key, doing=f"len of {self.key}")))

    def __bool__(self) -> bool:
        """Return True: an empty queue is a queue too, so that ``queue or default`` asks no server and means what it says."""
        return True

    # --- putting and getting -------------------------------------------------------------------------------------

    def put(self, *msgs: Any) -> None:
        """Append messages, all in one command or none.

        Raises:
            SerializationError: an argument cannot be serialized; nothing was sent.
            QueueFull: the queue would be longer than `max_queue_length`, or the server is out of memory.
            ConnectionFailed: no answer came; unless `.sent`, nothing was stored.
        """
        raw = self._dumped(msgs)
        if raw and (here := self._in_place) is not None:
            self.refuse_overflow(here.put(raw, self.max_queue_length), len(raw))
        elif raw:
            self.store.repeat(lambda: self._push(raw), twice=False)

    async def aput(self, *msgs: Any) -> None:
        """Asyncio twin of `put`."""
        if self._in_place is None:
            await aqueue.put(self, self._dumped(msgs))
        else:
            self.put(*msgs)

    def _dumped(self, msgs: Sequence[Any]) -> list[bytes]:
        dumps = self._codec.dumps
        return [dumps(msg, place) for place, msg in enumerate(msgs, 1)]

    def _push(self, raw: list[bytes]) -> None:
        if self.max_queue_length is None:
            self.store.command(self.key, "RPUSH", self.key, *raw, doing=f"put on {self.key}")
        else:
            found = self.store.run(scripts.load(PACKAGE, "put"), [self.key], [self.max_queue_length, *raw], f"put on {self.key}")
            self.refuse_overflow(found, len(raw))

    def refuse_overflow(self, found: int, more: int) -> None:
        if found < 0:
            raise QueueFull(
                f"{self.key} holds {-1 - found} messages of at most {self.max_queue_length}: "
                f"{more} more do not fit, none was stored; drain the queue or raise max_queue_length"
            )

    @hinting
    def get(self, block: bool = False, timeout: Seconds | None = None) -> Any:
        """Remove and return the oldest message, or None when there is none. At most once: nobody else will get it.

        Args:
            block: wait for a message.
            timeout: seconds (int, float or timedelta) to wait at most; None waits for ever.

        Raises:
            SerializationError: the message cannot be loaded; it was moved to ``{hotqueue:<name>}:dead-messages``.
            ConnectionFailed: no answer came; unless `.sent` is False, one message may have been taken and lost.
        """
        limit = patience(block, timeout, "get")
        if (here := self._in_place) is not None:
            raw = here.pop(block, limit)
            return None if raw is None else self._loaded(raw)
        raw = self._pop(self._pop_now)
        if raw is None:
            raw = self._late(block, limit)
        return None if raw is None else self._loaded(raw)

    @hinting
    async def aget(self, block: bool = False, timeout: Seconds | None = None) -> Any:
        """Asyncio twin of `get`. Cancelled at any moment, it takes no message: one already taken is put back."""
        limit = patience(block, timeout, "aget")
        if (here := self._in_place) is not None:
            raw = await here.apop(block, limit)
            return None if raw is None else self._loaded(raw)
        raw = await aqueue.get(self._here(), block, limit)
        return None if raw is None else await aqueue.loaded(self._here(), self._codec, raw)

    def _late(self, block: bool, limit: float | None) -> bytes | None:
        """Return a message that a dead consumer held, or that comes while we wait."""
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            if self._here().run_sweep() and (raw := self._pop(self._pop_now)) is not None:
                return raw
            left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
            if not block or left <= 0:
                return None
            if (raw := self._pop(functools.partial(self._pop_waiting, within(left)))) is not None:
                return raw

    def _pop(self, pop: Callable[[], bytes | None]) -> bytes | None:
        try:
            return self.store.repeat(pop, twice=False)
        except ConnectionFailed as error:
            if not error.sent:
                raise
            raise ConnectionFailed(f"{error}: one message may have been taken from {self.key}, and lost") from error

    def _pop_now(self) -> bytes | None:
        found: bytes | None = self.store.command(self.key, "LPOP", self.key, doing=f"get from {self.key}")
        return found

    def _pop_waiting(self, limit: float) -> bytes | None:
        with self._here().blocking() as connection:
            found = connection.call("BLPOP", self.key, max(limit, LEAST_BLOCK))
        return None if found is None else found[1]

    def _loaded(self, raw: bytes) -> Any:
        try:
            return self._codec.loads(raw)
        except SerializationError as error:
            dead = keys.dead_messages(self.name)
            if (here := self._in_place) is not None:
                here.dead.append(raw)
                raise
            try:
                self.store.repeat(lambda: self.store.command(dead, "RPUSH", dead, raw, doing=f"moving it to {dead}"), twice=False)
            except STORE_ERRORS as failure:
                raise SerializationError(f"{error}; {failure}") from error
            raise SerializationError(f"{error}; it was moved to {dead}") from error

    def clear(self) -> None:
        """Delete all waiting messages (not those that a consumer holds, nor dead-messages)."""
        if (here := self._in_place) is not None:
            here.clear()
        else:
            self.store.repeat(lambda: self.store.command(self.key, "DEL", self.key, doing=f"clear of {self.key}"))

    # --- consuming -----------------------------------------------------------------------------------------------

    @hinting
    def consume(
        self, block: bool = True, timeout: Seconds | None = None, *, ack_on_break: bool = False
    ) -> Generator[Any, None, None]:
        """Yield messages, each held until the next one is asked for: a process killed in between loses none.

        >>> for message in queue.consume():
        ...     print(message)

        Left early, the loop gives its message back to the head of the list, uncharged; wrap it in `contextlib.closing`
        to have an exception in the body charged (a `for` loop does not tell a generator). A message whose holder died
        or raised 5 times goes to ``{hotqueue:<name>}:dead-messages``, as does at once one that cannot be loaded. When
        the store goes away, the loop waits for it. Ctrl-C ends the loop quietly while it waits.

        Args:
            block: wait for messages; False ends the loop when there is none.
            timeout: seconds (int, float or timedelta) without a message after which the loop ends; None never.
            ack_on_break: take the message as done when the loop is left by `break` or `return`; loop over the call
                itself for this, not over a variable that keeps the generator.

        Raises:
            ConnectionFailed: the store stayed away for 5 seconds (or `timeout`, if longer); never with
                ``timeout=None`` and `block`.
        """
        limit = patience(block, timeout, "consume")
        check_flag(ack_on_break, "consume(ack_on_break=)")
        return consume.messages(self._here(), self._codec, block, limit, ack_on_break)

    @hinting
    def aconsume(self, block: bool = True, timeout: Seconds | None = None) -> AsyncGenerator[Any, None]:
        """Asyncio twin of `consume`, for ``async for``.

        An async generator is closed some time after `break`; ``async with contextlib.aclosing(…)`` closes it at once.
        """
        return aqueue.messages(self._here(), self._codec, block, patience(block, timeout, "aconsume"))

    @overload
    def worker(self, function: Callable[..., Any], /) -> Callable[..., Any]: ...

    @overload
    def worker(
        self, /, *, block: bool = True, timeout: Seconds | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...

    def worker(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Callable[..., Any]:
        """Wrap a function or method, plain or `async`, in a consume loop.

        >>> @queue.worker
        ... def square(number):
        ...     print(number * number)

        ``square()`` then calls it with each message, behind what arguments it is given itself. An exception ends the
        loop and propagates; its message goes back and is charged, see `consume`.

        Args:
            options: `block` and `timeout` of `consume`.
        """
        consume.check_options(options)
        if function is not None and not callable(function):
            raise TypeError(
                f"@queue.worker decorates a function, not {function!r:.80}; its options have names, such as timeout=1"
            )
        wrap = aqueue.wrapped if function and inspect.iscoroutinefunction(function) else consume.wrapped
        if function is None:
            return lambda wrapped: self.worker(wrapped, **options)
        return wrap(self, function, options)

    # --- closing -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the connections, and the hold on an embedded server. Used again, the queue connects again."""
        self._here().close()
        self.store.close()

    async def aclose(self) -> None:
        """Asyncio twin of `close`."""
        self._here().close()
        await self.store.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def _in_place(self) -> MemoryList | None:
        """The messages, inside `queue.testing()`."""
        return in_place.list_of(self.store, self.name)

    def _here(self) -> Here:
        """Return what this process keeps; a forked child starts anew."""
        if self._process.pid != os.getpid():
            self._process = Here(self.name, self.store)
        return self._process

    # --- tasks: the door to hotqueue.tasks -----------------------------------------------------------------------


def _checked_length(length: int | None) -> int | None:
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 1):
        raise ConfigError(f"max_queue_length is a whole number of at least 1, or None for no bound, not {length!r}")
    return length
