"""Reading strings by the thousand: commands that are sent ahead, and replies that are taken apart past redis-py's parser.

For a task that takes what ten thousand others returned, which redis-py would take 25 ms to ask for and to understand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import redis.exceptions as rx

from hotqueue.store.packing import command
from hotqueue.store.store import Store

TOGETHER = 250  # keys in one command: others wait for no longer
FEW = 16  # keys for which there is nothing to be gained
CHUNK, MOST = 64 * 1024, 1 << 20  # bytes that are received at a time: of small strings, of a large one


def strings(store: Store, keys: Sequence[bytes], doing: str) -> list[bytes | None]:
    """Return the strings under some keys of one server, or slot; None for what is none.

    Raises:
        ConnectionFailed, ConfigError: as `Store.command`.
    """
    found = None if len(keys) <= FEW or store.is_hasty else _straight(store, keys, doing)
    if found is None:
        found = []
        for start in range(0, len(keys), TOGETHER):
            some = keys[start : start + TOGETHER]
            found += store.command(some[0], "MGET", *some, doing=doing)
    return found


def _straight(store: Store, keys: Sequence[bytes], doing: str) -> list[bytes | None] | None:
    """Return them; None where the server says something else, which is for the ordinary way to understand."""
    pool = store.pool
    idle, connection = pool.take(keys[0])
    try:
        found = _exchanged(connection._sock, [keys[start : start + TOGETHER] for start in range(0, len(keys), TOGETHER)])
    except BaseException as error:
        pool.give_back(idle, connection, error)
        if isinstance(error, OSError | rx.RedisError):
            raise pool.translated(error, doing) from error
        raise
    if found is None:  # more may be under way on this connection, which is for nobody
        connection.disconnect()
    else:
        idle.put(connection)
    return found


def _exchanged(sock: Any, portions: Sequence[Sequence[bytes]]) -> list[bytes | None] | None:
    """Send a command for each portion, the next one before the reply to the one before is taken apart."""
    calls: Iterator[bytes] = (command(b"MGET", *some) for some in portions)
    replies, found = _Replies(sock), []
    sock.sendall(next(calls))
    for some in portions:
        if (call := next(calls, None)) is not None:
            sock.sendall(call)
        values = replies.strings(len(some))
        if values is None:
            return None
        found += values
    return found


class _Replies:
    """What a server answers, of which only lists of strings are understood."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._data, self._at = b"", 0

    def strings(self, count: int) -> list[bytes | None] | None:
        """Return the next reply, a list of so many; None for any other."""
        if self._line() != b"*%d" % count:
            return None
        found: list[bytes | None] = []
        head, size = b"\r", 0  # of the one before: mostly they are of one size
        while len(found) < count:
            data, at = self._data, self._at
            if data.startswith(head, at):
                at += len(head)
            else:
                line = self._line()
                if line in (b"$-1", b"_"):
                    found.append(None)
                    continue
                if line[:1] != b"$":
                    return None
                head, size = line + b"\r\n", int(line[1:])
                data, at = self._data, self._at
            stop = at + size
            if stop + 2 > len(data):
                self._at = at
                self._receive(size + 2)
                data, at, stop = self._data, 0, size
            found.append(data[at:stop])
            self._at = stop + 2
        return found

    def _line(self) -> bytes:
        """Return what stands in front of the next line end, and go behind that."""
        while (stop := self._data.find(b"\r\n", self._at)) < 0:
            self._receive(len(self._data) - self._at + 1)
        line = self._data[self._at : stop]
        self._at = stop + 2
        return line

    def _receive(self, size: int) -> None:
        """Have so many bytes at least that were not taken yet; those that were are dropped."""
        parts = [self._data[self._at :]]
        have = len(parts[0])
        while have < size:
            part = self._sock.recv(max(CHUNK, min(size - have, MOST)))
            if not part:
                raise ConnectionError("Connection closed by server.")
            parts.append(part)
            have += len(part)
        self._data, self._at = b"".join(parts), 0
