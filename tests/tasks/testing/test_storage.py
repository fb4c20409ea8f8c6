"""What one queue holds in memory answers whoever watches a task, once, when it has ended."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.testing.storage import Entry, Storage, place
from hotqueue.tasks.wire.settlement import Settlement

REGISTRY = HotQueue("in-place", host="127.0.0.1", port=1)._tasks


def holding(task_id: str, **history: Any) -> tuple[Storage, Entry]:
    """Return a storage that holds one task, and that task."""
    storage = Storage("in-place")
    entry = Entry(task_id, b"envelope", REGISTRY, None, 0, History(**history))
    storage.unfinished[task_id] = entry
    return storage, entry


@pytest.mark.parametrize(
    ("code", "answer", "is_dead"),
    [("E", Answer("R", b"record"), False), ("D", Answer("R", b"record"), True), ("X", Answer("D"), False)],
)
def test_an_end_is_kept_and_answered_once(code: str, answer: Answer, is_dead: bool) -> None:
    storage, entry = holding("a")
    answers: list[tuple[str, Answer]] = []
    storage.watchers["a"] = [lambda task_id, found: answers.append((task_id, found))]
    settlement = Settlement("a", 0, code, b"record", 0, "")
    storage.carry_out(entry, settlement)
    storage.carry_out(entry, settlement)  # as of a run that was revoked meanwhile
    assert answers == [("a", answer)]
    assert (storage.unfinished, storage.knows("a"), list(storage.dead)) == ({}, True, ["a"] if is_dead else [])


def test_a_parked_task_waits_for_what_it_needs() -> None:
    storage, entry = holding("a")
    entry.running = True
    assert place(entry) == "held"
    storage.carry_out(entry, Settlement("a", 0, "K", b"", 0, "code"))
    assert (place(entry), storage.answer("a")) == ("parked", None)


def test_a_task_past_its_expiry_ends_when_it_is_looked_at() -> None:
    storage, running = holding("a", expires=1)
    running.running = True
    storage.end_if_expired("a")
    assert "a" in storage.unfinished
    running.running = False
    storage.end_if_expired("a")
    assert storage.records["a"].startswith(b"E1 ")
