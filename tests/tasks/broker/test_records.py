"""What is stored of how tasks ended, and of how many bytes it is."""

from __future__ import annotations

import pytest

from hotqueue.sizes import LARGE
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


def test_records_are_bytes_in_the_order_of_the_ids(room: Room) -> None:
    room.client.set(room.prefix + "result:a", "blob")
    assert room.broker.records(["b", "a"]) == [None, b"blob"]
    assert (room.broker.record("a"), room.broker.record("b")) == (b"blob", None)


def test_any_number_is_read_at_once(room: Room) -> None:
    ids = [f"{n}-\u00fc" for n in range(700)]
    for task_id in ids[::2]:
        room.client.set(room.prefix + f"result:{task_id}", task_id)
    assert room.broker.records_now(ids) == [None if n % 2 else each.encode() for n, each in enumerate(ids)]
    assert room.broker.records_now([]) == []


def test_one_that_has_not_ended_is_told_from_one_without_a_record(room: Room) -> None:
    room.fill({"tasks": {"waits": sync(), "again": sync()}})
    for task_id in ("ended", "again"):
        room.client.set(room.prefix + f"result:{task_id}", "blob")
    assert room.broker.ends(["waits", "ended", "again", "unknown"]) == [None, 4, None, 0]


def test_a_key_that_holds_something_else_is_as_large_as_anything(room: Room) -> None:
    room.client.rpush(room.prefix + "result:a", "junk")
    (size,) = room.broker.ends(["a"])
    assert size is not None
    assert size >= LARGE
