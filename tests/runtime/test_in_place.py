"""Whoever would go to the store asks whether a stage is open: calls of any queue stay here as long as one is."""

from __future__ import annotations

from hotqueue import HotQueue
from hotqueue.messages.memory import MemoryList
from hotqueue.runtime import in_place

queue = HotQueue("in-place", host="127.0.0.1", port=1)


def test_what_a_queue_keeps_is_one_thing_as_long_as_a_stage_is_open() -> None:
    assert in_place.stage is None
    with queue.testing():
        assert in_place.stage is not None
        kept = in_place.stage.kept(MemoryList, queue._store, "a")
        assert in_place.stage.kept(MemoryList, queue._store, "a") is kept
        assert in_place.stage.kept(MemoryList, queue._store, "b") is not kept
        assert in_place.stage.kept(MemoryList, "another store", "a") is not kept
        with queue.testing():
            assert in_place.stage.kept(MemoryList, queue._store, "a") is kept
    assert in_place.stage is None
