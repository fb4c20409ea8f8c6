"""Whoever would go to the store asks whether a sandbox is open: calls of any queue stay here as long as one is."""

from __future__ import annotations

from hotqueue import HotQueue
from hotqueue.messages.memory import MemoryList
from hotqueue.runtime import testing_mode

queue = HotQueue("in-place", host="127.0.0.1", port=1)


def test_what_a_queue_keeps_is_one_thing_as_long_as_a_sandbox_is_open() -> None:
    assert testing_mode.sandbox is None
    with queue.testing():
        assert testing_mode.sandbox is not None
        kept = testing_mode.sandbox.kept(MemoryList, queue._store, "a")
        assert testing_mode.sandbox.kept(MemoryList, queue._store, "a") is kept
        assert testing_mode.sandbox.kept(MemoryList, queue._store, "b") is not kept
        assert testing_mode.sandbox.kept(MemoryList, "another store", "a") is not kept
        with queue.testing():
            assert testing_mode.sandbox.kept(MemoryList, queue._store, "a") is kept
    assert testing_mode.sandbox is None
