"""HotQueue: a FIFO list in Redis. put, get, consume, worker; asyncio twins in `aqueue`, held messages in `consume`.

Knows nothing of tasks but the one door to them, at the bottom of the class. Names no redis client and no pickle.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from hotqueue import address, keys, scripts, serializers
from hotqueue.connection import Store
from hotqueue.errors import ConfigError, QueueFull

PUT = "put"  # the one script of a bounded queue


def key_for_name(name: str) -> str:
    """Return the Redis key of the list of queue `name`."""
    return keys.queue(name)


class HotQueue:
    """A FIFO queue of messages that maps to a list in Redis.

    >>> queue = HotQueue("myqueue", dbfilename="/tmp/redis.rdb")
    >>> queue.put(4)
    >>> queue.get()
    4

    Constructing one connects to nothing and starts nothing. One object may be used by many threads, survives fork, and
    can be pickled unless it was made with ``redis=``.

    Args:
        name: of the queue; its messages are the list ``hotqueue:<name>``.
        serializer: anything with ``dumps`` and ``loads``; None stores text.
        redis: a redis.Redis or redis.RedisCluster client of the caller's, whose connection settings are used.
        max_queue_length: messages beyond which `put` raises QueueFull; None is unbounded.
        dbfilename: database file of an embedded server, or ":memory:" for a private one.
        url: where the store is, see `hotqueue.address.FORMS`. Without any: ``$HOTQUEUE_URL``, else the user's own server.
        durability: of an embedded server: "everysec", or "always" to have each write on disk before it is answered.
        secret_key: signs tasks; raw messages are not signed.
        options: any keyword of redis.Redis (host, port, db, password, …).

    Raises:
        ConfigError: an impossible name, URL or combination.
        TypeError: an unknown option, or a serializer without dumps and loads.
    """

    def __init__(
        self,
        name: str,
        serializer: Any = serializers.DEFAULT,
        redis: Any = None,
        max_queue_length: int | None = None,
        *,
        dbfilename: str | os.PathLike[str] | None = None,
        url: str | None = None,
        durability: str = "everysec",
        secret_key: str | None = None,
        **options: Any,
    ) -> None:
        self.name = keys.check_name(name)
        self.key = keys.queue(name)
        self.serializer = serializer
        self.max_queue_length = _checked_length(max_queue_length)
        self.secret_key = secret_key
        self.store = Store(address.resolve(dbfilename=dbfilename, url=url, client=redis, durability=durability, options=options))

    @property
    def serializer(self) -> Any:
        """What turns messages into bytes and back; may be set at any time."""
        return self._codec.serializer

    @serializer.setter
    def serializer(self, serializer: Any) -> None:
        self._codec = serializers.Codec(serializer)

    def __repr__(self) -> str:
        return f"<HotQueue {self.name!r} in {self.store}>"

    def __len__(self) -> int:
        """Return how many messages wait (not those that a consumer holds, nor tasks)."""
        return int(self.store.repeat(lambda: self.store.command(self.key, "LLEN", self.key, doing=f"len of {self.key}")))

    def put(self, *msgs: Any) -> None:
        """Append messages, all in one command or none.

        Raises:
            SerializationError: an argument cannot be serialized; nothing was sent.
            QueueFull: the queue would be longer than `max_queue_length`, or the server is out of memory.
            ConnectionFailed: no answer came; unless `.sent`, nothing was stored.
        """
        dumps = self._codec.dumps
        raw = [dumps(msg, f"argument {place} of put()") for place, msg in enumerate(msgs, 1)]
        if raw:
            self.store.repeat(lambda: self._push(raw), twice=False)

    def _push(self, raw: list[bytes]) -> None:
        doing = f"put of {len(raw)} message{'s'[: len(raw) > 1]} on {self.key}"
        if self.max_queue_length is None:
            self.store.command(self.key, "RPUSH", self.key, *raw, doing=doing)
            return
        length = self.store.run(scripts.load("hotqueue.lua", PUT), [self.key], [self.max_queue_length, *raw], doing)
        self._refuse_overflow(length, len(raw))

    def _refuse_overflow(self, length: int, more: int) -> None:
        if length < 0:
            raise QueueFull(
                f"{self.key} holds {-1 - length} messages of at most {self.max_queue_length}: "
                f"{more} more do not fit, none was stored; drain the queue or raise max_queue_length"
            )

    def get(self, block: bool = False, timeout: float | timedelta | None = None) -> Any:
        """Remove and return the oldest message, or None."""
        raw = self.store.command(self.key, "LPOP", self.key, doing="get")
        return None if raw is None else self._codec.loads(raw)

    def clear(self) -> None:
        """Delete all waiting messages."""
        self.store.repeat(lambda: self.store.command(self.key, "DEL", self.key, doing=f"clear of {self.key}"))

    def close(self) -> None:
        """Release the connections, and the hold on an embedded server. The queue may be used again."""
        self.store.close()


def _checked_length(length: int | None) -> int | None:
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length < 1):
        raise ConfigError(f"max_queue_length is a whole number of at least 1, or None for no bound, not {length!r}")
    return length
