"""Script calls whose constant part is packed once: the path of every task, where packing costs the most.

They go through redis-py's own connections, so that Sentinel, Cluster, TLS and reconnecting stay redis-py's affair.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

from hotqueue.errors import ConnectionFailed
from hotqueue.sizes import LARGE
from hotqueue.store.scripts import Script
from hotqueue.store.store import Store

COPIED = 64 * 1024  # bytes below which a copy is cheaper than a call of the system
_ANSWERS = {b":0\r\n": False, b":1\r\n": True}


class PackedKeys:
    """A script with the keys that all its calls have in common, packed.

    Args:
        keys: the first keys of every call; a call may add some of its own.
    """

    def __init__(self, script: Script, keys: Sequence[bytes]) -> None:
        self.script = script
        self.keys = keys
        self._heads: dict[tuple[int, int], bytes] = {}

    def call(self, more: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        """Return a call as it goes over the wire."""
        sizes = len(more), len(args)
        head = self._heads.get(sizes) or self._head(*sizes)
        # Formatted here and not by a function: of a thousand tasks, that costs as much as all else.
        return head + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in (*more, *args)])

    def parts(self, more: Sequence[bytes], args: Sequence[bytes]) -> list[bytes]:
        """Return the same in pieces, so that large ones are not copied, and small ones go together."""
        found: list[bytes] = []
        small = [self._heads.get((len(more), len(args))) or self._head(len(more), len(args))]
        for part in (*more, *args):
            if len(part) < COPIED:
                small.append(b"$%d\r\n%b\r\n" % (len(part), part))
            else:
                found += (b"".join([*small, b"$%d\r\n" % len(part)]), part)
                small = [b"\r\n"]
        return [*found, b"".join(small)]

    def _head(self, more: int, args: int) -> bytes:
        """Return what is the same for all calls with so many keys and arguments of their own."""
        count = len(self.keys) + more
        name = _parts((b"EVALSHA", self.script.sha, b"%d" % count))
        head = b"*%d\r\n%b%b" % (3 + count + args, name, _parts(self.keys))
        if len(self._heads) < 1000:
            self._heads[more, args] = head
        return head


class PackedCall:
    """A script call that answers 0 or 1 and may safely run twice; past redis-py's parsing as well.

    Any other answer is for the ordinary way, `Store.run`, to repeat and to understand.

    Args:
        keys: those that are the same in every call; each call adds one of its own.
        doing: for errors.
    """

    def __init__(self, store: Store, script: Script, keys: Sequence[bytes], doing: str) -> None:
        self._store, self._doing = store, doing
        self._packed = PackedKeys(script, keys)

    def __call__(self, key: bytes, *args: bytes) -> bool:
        """Run it, for as long as the store has patience.

        Raises:
            ConnectionFailed, QueueFull, ConfigError: as `Store.run`.
        """
        store, script, every_key = self._store, self._packed.script, [*self._packed.keys, key]
        patience, began = store.patience, time.monotonic()
        left: float | EllipsisType | None = ...
        try:
            answer = None if store.is_hasty or len(args[-1]) >= LARGE else self._ask(key, args)
        except ConnectionFailed:
            left = None if patience is None else began + patience - time.monotonic()
            if left is not None and left <= 0:
                raise
        else:
            if answer is not None:
                return answer
        return bool(store.repeat(lambda: store.run(script, every_key, args, self._doing, repeatable=True), patience=left))

    async def acall(self, key: bytes, *args: bytes) -> bool:
        """Asyncio twin of a call, by the ordinary way."""
        store, script, every_key = self._store, self._packed.script, [*self._packed.keys, key]
        return bool(await store.arepeat(lambda: store.arun(script, every_key, args, self._doing)))

    def _ask(self, key: bytes, args: Sequence[bytes]) -> bool | None:
        pool = self._store.pool
        idle, connection = pool.take(self._packed.keys[0], repeatable=True)
        try:
            connection._sock.sendall(self._packed.call((key,), args))
            said = connection._sock.recv(64)
        except BaseException as error:
            pool.give_back(idle, connection, error)
            if isinstance(error, OSError):
                raise pool.translated(error, self._doing) from error
            raise
        answer = _ANSWERS.get(said)
        if answer is not None or (said.startswith(b"-") and said.endswith(b"\r\n")):
            idle.put(connection)  # also with an error that is whole, such as NOSCRIPT: there may be no other connection to be had
        else:  # half an answer, and what else is under way on this connection is nobody's
            connection.disconnect()
        return answer


def command(*args: bytes) -> bytes:
    """Return a command as it goes over the wire."""
    return b"*%d\r\n%b" % (len(args), _parts(args))


def _parts(parts: Sequence[Any]) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
