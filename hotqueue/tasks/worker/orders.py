"""Orders: what a supervisor tells one of its processes over the control pipe; both ends of that, as bytes.

Its end is an order as well: the supervisor has died.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from hotqueue import keys

GO, STOP = b"r", b"s"
_GIVE_UP, _ADOPT, _LET_GO = b"g", b"a", b"l"
_LOST = struct.Struct("<HHd")  # numbers of the worker and of the queue, when that was asked
_QUEUE = struct.Struct("<HHHH")  # its number, the order's, where it is, length of its name
_NUMBER = struct.Struct("<HH")  # of the queue, of the order
MOST_QUEUES = 1 << 16


class GiveUp(NamedTuple):
    """What one of the workers runs of a queue is lost, if it registered there before `asked` (monotonic)."""

    worker: int
    queue: int
    asked: float


class Adopt(NamedTuple):
    """Work at one queue more.

    Attributes:
        queue: under which number: the next, or one that was left.
        order: by which this order and the answers to it are told from earlier ones.
        store: where it is, by its number among those that the process named.
    """

    queue: int
    order: int
    store: int
    name: str


class LetGo(NamedTuple):
    """Work at a queue no more, and say so once nothing of it is in hand."""

    queue: int
    order: int


Order = bytes | GiveUp | Adopt | LetGo


def packed(order: Order) -> bytes:
    """Return an order as it goes through the pipe."""
    if isinstance(order, GiveUp):
        return _GIVE_UP + _LOST.pack(*order)
    if isinstance(order, Adopt):
        name = keys.raw(order.name)
        return _ADOPT + _QUEUE.pack(order.queue, order.order, order.store, len(name)) + name
    if isinstance(order, LetGo):
        return _LET_GO + _NUMBER.pack(*order)
    return order


def received(pipe: int) -> Iterator[Order]:
    """Yield the orders that come through a pipe, until it ends."""
    while kind := os.read(pipe, 1):
        if kind == _GIVE_UP:
            yield GiveUp(*_LOST.unpack(_exactly(pipe, _LOST.size)))
        elif kind == _ADOPT:
            queue, order, store, length = _QUEUE.unpack(_exactly(pipe, _QUEUE.size))
            yield Adopt(queue, order, store, keys.text(_exactly(pipe, length)))
        elif kind == _LET_GO:
            yield LetGo(*_NUMBER.unpack(_exactly(pipe, _NUMBER.size)))
        else:
            yield kind


def _exactly(pipe: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        some = os.read(pipe, size - len(found))
        if not some:
            raise EOFError("the supervisor died")
        found += some
    return found
