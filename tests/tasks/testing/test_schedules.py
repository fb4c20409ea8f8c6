"""Schedules that are kept in memory change as those in a store do. As users see them: tests/tasks/client/test_schedule.py."""

from __future__ import annotations

from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.testing.schedules import MemorySchedules
from hotqueue.tasks.testing.storage import Storage


def test_a_change_counts_if_nothing_was_changed_since() -> None:
    kept = MemorySchedules()
    kept._storage = Storage("q")
    assert kept.set_schedules([Change("a", "", "one", b"row"), Change("b", "x", "one")]) == [True, False]
    assert (kept.schedules(), kept.schedule_states(["a", "b"])) == ([("a", b"row", "one")], ["one", ""])
    assert kept.set_schedules([Change("a", "one", "two")]) == [True]
    assert kept.schedules() == [("a", b"row", "two")]
    assert kept.set_schedules([Change("a", "one", ""), Change("a", "two", "")]) == [False, True]
    assert (kept.schedules(), kept.declarers(), kept.next_slot()[1]) == ([], {}, -1)
