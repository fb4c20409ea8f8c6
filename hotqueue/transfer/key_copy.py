"""One key → a copy of it in another store, in pieces of a bounded size.

By the commands of its type, not by DUMP and RESTORE: what one server dumps, an older one or another kind does not take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hotqueue.errors import ConfigError
from hotqueue.store.store import Store

PIECE = 1 << 20  # bytes to read and write at once, about; one element may be larger
ELEMENTS = 1000  # the same, for small ones

_SCANS = {b"hash": ("HSCAN", "HLEN", b"HSET"), b"zset": ("ZSCAN", "ZCARD", b"ZADD"), b"set": ("SSCAN", "SCARD", b"SADD")}


def copy_key(
    source: Store, key: bytes, target: Store, place: bytes, left: int, progress: Callable[[int], None] = lambda written: None
) -> None:
    """Copy a key that does not change meanwhile; what was at its place is lost.

    Args:
        left: ms that the copy is to live; -1: for ever, 0: none is made.
        progress: called with the number of bytes after each piece.
    """
    if left == 0:
        return
    target.command(place, "UNLINK", place)
    for command, *words in _pieces(source, key):
        target.command(place, command, place, *words)
        progress(sum(len(word) for word in words))
    if left > 0:
        target.command(place, "PEXPIRE", place, left)


def _pieces(store: Store, key: bytes) -> Iterator[list[bytes]]:
    """Yield the commands that make a key what it is, each without the key."""
    kind = store.command(key, "TYPE", key)
    if kind == b"string":
        yield from _string(store, key)
    elif kind == b"list":
        step = _step(store, key, "LLEN")
        for start in range(0, int(store.command(key, "LLEN", key)), step):
            yield [b"RPUSH", *store.command(key, "LRANGE", key, start, start + step - 1)]
    elif kind in _SCANS:
        yield from _scanned(store, key, kind)
    elif kind != b"none":
        raise ConfigError(f"{key.decode(errors='replace')} at {store} holds a {kind.decode()}, which no queue does: remove it")


def _string(store: Store, key: bytes) -> Iterator[list[bytes]]:
    yield [b"SET", store.command(key, "GETRANGE", key, 0, PIECE - 1)]
    for start in range(PIECE, int(store.command(key, "STRLEN", key)), PIECE):
        yield [b"APPEND", store.command(key, "GETRANGE", key, start, start + PIECE - 1)]


def _scanned(store: Store, key: bytes, kind: bytes) -> Iterator[list[bytes]]:
    """An element may come twice, which changes nothing: in none of these types there are two of one."""
    scan, count, write = _SCANS[kind]
    cursor, step = b"0", _step(store, key, count)
    while True:
        cursor, found = store.command(key, scan, key, cursor, "COUNT", step)
        if kind == b"zset":  # it returns members and their scores, and takes scores and their members
            found = [word for member, score in zip(found[::2], found[1::2], strict=True) for word in (score, member)]
        if found:
            yield [write, *found]
        if cursor == b"0":
            return


def _step(store: Store, key: bytes, count: str) -> int:
    """Return how many elements of a key make a piece."""
    takes = int(store.command(key, "MEMORY", "USAGE", key, doing="asking for the size of a key") or 0)
    each = takes // max(1, int(store.command(key, count, key)))
    return max(1, min(ELEMENTS, PIECE // max(1, each)))
