"""HotQueue: the methods of messages and those of tasks, joined; how one is made, pickled and closed.

What it does is in `messages/methods.py` and `tasks/methods.py`, and neither knows the other. Names no redis client and no pickle.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Self

from hotqueue import keys, signing
from hotqueue.errors import ConfigError
from hotqueue.messages import codec
from hotqueue.messages.local import Local
from hotqueue.messages.methods import MessageMethods, Seconds
from hotqueue.messages.options import seconds
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.store.timeouts import PATIENCE
from hotqueue.tasks.methods import TaskMethods

# Queues of this process that were given a secret key, by name: what their pickles left behind is found here again.
_with_key: weakref.WeakValueDictionary[str, HotQueue] = weakref.WeakValueDictionary()


def key_for_name(name: str) -> str:
    """Return the Redis key of the list of queue `name`."""
    return keys.queue(name)


key_for_name.__module__ = "hotqueue"


class HotQueue(MessageMethods, TaskMethods):
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
        url: where the store is, see `hotqueue.store.url.FORMS`. Without any: ``$HOTQUEUE_URL``, else the user's own server.
        durability: of an embedded server: "everysec", or "always" to have each write on disk before it is answered.
        patience: seconds for which a call such as `put` or `delay` goes on trying while the server cannot be reached, before it
            raises ConnectionFailed; None is without end.
        secret_key: signs tasks; raw messages are not signed. Several, separated by commas: the first signs, all verify. Without
            one: ``$HOTQUEUE_SECRET_KEY``. Stays behind when the queue is pickled, except for a child of multiprocessing.
        max_waiting: tasks that may wait in the queue (ready, in lanes, parked), for who sends through this object: one more is
            a QueueFull. None is unbounded.
        enqueue_timeout: seconds for which `delay` and its like wait for room before that; None is without end.
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
        patience: Seconds | None = PATIENCE,
        secret_key: str | None = None,
        max_waiting: int | None = None,
        enqueue_timeout: Seconds | None = 0,
        **options: Any,
    ) -> None:
        self.name = keys.check_name(name)
        self.key = keys.queue(name)
        self.serializer = serializer
        self.max_queue_length = _checked_length(max_queue_length, "max_queue_length")
        self._max_waiting = _checked_length(max_waiting, "max_waiting")
        self._enqueue_timeout = seconds(enqueue_timeout, f"HotQueue({name!r}, enqueue_timeout=)")
        if enqueue_timeout != 0 and max_waiting is None:
            raise ConfigError(
                f"enqueue_timeout={enqueue_timeout!r} is for a queue with max_waiting=: say how many tasks may wait"
            )
        self._secret_key = secret_key
        if secret_key is not None:
            signing.split(secret_key)  # refuse it here, where it was given
            _with_key[name] = self
        where: dict[str, Any] = {"dbfilename": dbfilename, "url": url, "client": redis, "durability": durability}
        self._store = Store(resolve(**where, patience=patience, options=options))
        self._kept = Local(self.name, self._store)

    @property
    def serializer(self) -> Any:
        """What turns messages into bytes and back; may be set at any time."""
        return self._codec.serializer

    @serializer.setter
    def serializer(self, serializer: Any) -> None:
        self._codec = codec.Codec(serializer)

    def __repr__(self) -> str:
        return f"<HotQueue {self.name!r} in {self._store}>"

    def __getstate__(self) -> dict[str, Any]:
        kept = ("name", "key", "max_queue_length", "_max_waiting", "_enqueue_timeout")
        state = {"serializer": codec.portable(self.serializer), **{name: getattr(self, name) for name in kept}}
        state["store"] = self._store.description()
        key = self._secret_key
        return {**state, "secret_key": key if key is None or signing.may_travel() else signing.KEPT_BACK}

    def __setstate__(self, state: dict[str, Any]) -> None:
        store, self._secret_key = state["store"], state["secret_key"]
        self._store = Store.described(store) if isinstance(store, dict) else store  # which older versions pickled as such
        self.serializer = codec.restored(state["serializer"])
        vars(self).update({name: value for name, value in state.items() if name not in ("store", "secret_key", "serializer")})
        if self._secret_key == signing.KEPT_BACK and (other := _with_key.get(self.name)) is not None:
            self._secret_key = other._secret_key
        self._kept = Local(self.name, self._store)

    def __copy__(self) -> Self:
        """Return another queue at the same store, over its connections; unlike a pickle, it need not be able to travel."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update({name: value for name, value in vars(self).items() if name != "_registry"})
        copied._kept = Local(self.name, self._store)
        return copied

    def __bool__(self) -> bool:
        """Return True: an empty queue is a queue too, so that ``queue or default`` asks no server and means what it says."""
        return True

    # --- closing -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the connections, and the hold on an embedded server. Used again, the queue connects again."""
        self._local().close()
        self._stop_waiting()
        self._store.close()

    async def aclose(self) -> None:
        """Asyncio twin of `close`."""
        self._local().close()
        self._stop_waiting()
        await self._store.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _checked_length(length: int | None, what: str) -> int | None:
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 1):
        raise ConfigError(f"{what} is a whole number of at least 1, or None for no bound, not {length!r}")
    return length
