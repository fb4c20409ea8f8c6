"""Checkpoints in memory: kept while their task is there."""

from __future__ import annotations

import asyncio

from hotqueue.tasks.testing.backing import MemoryBacking
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.testing.test_storage import holding


def test_they_are_kept_while_the_task_may_run_again() -> None:
    storage, entry = holding("a")
    backing = MemoryBacking(storage, entry)
    assert backing.kept("a") is None
    assert backing.keep("a", b"1")
    assert asyncio.run(backing.akeep("a", b"2"))
    assert (backing.kept("a"), asyncio.run(backing.akept("a"))) == (b"2", b"2")
    storage.carry_out(entry, Settlement("a", 0, "D", b"record", 0, ""))
    assert backing.kept("a") == b"2"
    assert not backing.keep("a", b"3")


def test_they_go_with_a_task_that_has_ended() -> None:
    storage, entry = holding("a")
    MemoryBacking(storage, entry).keep("a", b"1")
    storage.carry_out(entry, Settlement("a", 0, "S", b"record", 0, ""))
    assert storage.checkpoints == {}
