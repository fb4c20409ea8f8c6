"""A key is copied whole, in pieces of a bounded size, with what it has left to live; other types than a queue's are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue
from hotqueue.transfer import key_copy

MakeQueue = Callable[..., HotQueue]
BIG = b"x" * 70_000
CONTENTS: dict[str, tuple[list[Any], list[Any]]] = {
    "a text": (["SET", BIG * 3], ["GET"]),
    "a list": (["RPUSH", *[b"%d" % n for n in range(2500)], BIG], ["LRANGE", 0, -1]),
    "a set": (["SADD", "a", "b", BIG], ["SMEMBERS"]),
    "a hash": (["HSET", "a", "1", "b", BIG], ["HGETALL"]),
    "a sorted set": (["ZADD", "1", "a", "2.5", BIG], ["ZRANGE", 0, -1, "WITHSCORES"]),
}
pytestmark = pytest.mark.servers("server")


@pytest.mark.parametrize("what", CONTENTS)
def test_a_key_of_any_type_is_copied(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(key_copy, "PIECE", 100_000)
    store, (write, read) = make_queue()._store, CONTENTS[what]
    key, place, written = make_queue().key.encode(), b"{" + make_queue().key.encode() + b"}:import:copy", list[int]()
    store.command(key, write[0], key, *write[1:])
    store.command(place, "SET", place, "was there before")
    key_copy.copy_key(store, key, store, place, 60_000, written.append)
    copied, there = (store.command(each, read[0], each, *read[1:]) for each in (place, key))
    assert copied == there if what in ("a text", "a list") else sorted(copied) == sorted(there)
    assert 0 < store.command(place, "PTTL", place) <= 60_000
    assert all(more < 3 * 100_000 for more in written)
    assert len(written) > 1 or what not in ("a text", "a list")
    store.command(place, "DEL", place)


def test_a_key_that_has_no_time_left_is_not_copied(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a")
    place = b"{" + queue.key.encode() + b"}:import:copy"
    key_copy.copy_key(queue._store, queue.key.encode(), queue._store, place, 0)
    assert queue._store.command(place, "EXISTS", place) == 0


def test_a_type_that_no_queue_has_is_refused(make_queue: MakeQueue) -> None:
    queue = make_queue()
    key = queue.key.encode()
    queue._store.command(key, "XADD", key, "*", "a", "1")
    with pytest.raises(ConfigError, match="holds a stream, which no queue does: remove it"):
        key_copy.copy_key(queue._store, key, queue._store, key + b"x", -1)
