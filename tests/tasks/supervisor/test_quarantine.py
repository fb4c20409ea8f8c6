"""Which suspects a supervisor claims, when it starts a process for them, and when it lets a claim go.

The processes themselves are in tests/crash/test_quarantine.py.
"""

from __future__ import annotations

import pytest

from hotqueue.tasks.supervisor import quarantine
from hotqueue.tasks.supervisor.children import Child, Slot
from hotqueue.tasks.supervisor.quarantine import Quarantine
from hotqueue.tasks.worker.child import Suspects
from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.running_table import Running, new_table
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def of(room: Room, supervisor: str = "me", processes: int = 2) -> Quarantine:
    made = Quarantine(supervisor, 60_000, lambda _broker, write: write())
    made.room = processes
    return made


def suspects(room: Room, *ids: str, width: int = 1) -> Room:
    room.fill({"suspects": {task_id: n for n, task_id in enumerate(ids)}})
    return room.fill({"attempts": dict.fromkeys(ids, f"0 0 - - - 2 0 {width}")})


def process_of(suspects: Suspects | None, *running: str) -> Child:
    child = Child(0, -1, -1, [], [], suspects)
    table = new_table(4)
    for task_id in running:
        Running(table).start(task_id.encode())
    child.slots[0] = Slot("w", "", "x", PermitsHere(), table)
    return child


def test_suspects_are_claimed_and_a_process_is_to_be_started_for_them(room: Room) -> None:
    ours = of(suspects(room, *"abcde", width=4))
    ours.attend(room.broker, 5)
    assert (ours.has_claimed, ours.is_needed) == (True, True)
    assert ours.next() == Suspects(room.queue.name, str(room.queue._store), 4, 4)
    assert (ours.next(), ours.has_claimed, ours.is_needed) == (None, False, True)
    assert room["claims"].keys() == {"me"}


def test_while_a_process_starts_its_claim_is_renewed_and_no_other_one_made(room: Room) -> None:
    ours = of(suspects(room, "a", "b"))
    ours.attend(room.broker, 2)
    before, _ = room["claims"]["me"], ours.next()
    room.client.zadd(room.prefix + "claims", {"me": before - 30_000})
    ours.attend(room.broker, 2)
    assert room["claims"]["me"] >= before
    assert ours.next() is None


def test_a_process_that_runs_something_needs_no_claim_any_more_and_keeps_that_of_the_next(room: Room) -> None:
    ours = of(suspects(room, "a", "b"))
    ours.attend(room.broker, 2)
    first = process_of(ours.next(), "a")
    ours.note(first)
    assert room["claims"] is None
    ours.attend(room.broker, 1)
    assert ours.next() is not None
    ours.note(first)
    assert first.suspects is not None
    ours.ended(first.suspects, well=True)
    assert room["claims"].keys() == {"me"}


def test_one_that_runs_nothing_yet_keeps_its_claim(room: Room) -> None:
    ours = of(suspects(room, "a"))
    ours.attend(room.broker, 1)
    ours.note(process_of(ours.next()))
    ours.note(process_of(None, "of a working process"))
    assert room["claims"].keys() == {"me"}


def test_without_room_for_a_process_nothing_is_claimed(room: Room) -> None:
    ours = of(suspects(room, "a"), processes=0)
    ours.attend(room.broker, 1)
    assert (room["claims"], ours.has_claimed, ours.is_needed) == (None, False, True)


def test_what_others_have_claimed_is_left_to_them(room: Room) -> None:
    theirs, ours = of(suspects(room, "a"), "they"), of(room)
    theirs.attend(room.broker, 1)
    ours.attend(room.broker, 1)
    assert (ours.has_claimed, ours.is_needed) == (False, False)


def test_after_a_process_that_failed_none_is_started_for_a_while(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = of(suspects(room, "a"))
    ours.attend(room.broker, 1)
    claimed = ours.next()
    assert claimed is not None
    ours.ended(claimed, well=False)
    ours.attend(room.broker, 1)
    assert (room["claims"], ours.has_claimed, ours.is_needed) == (None, False, False)
    monkeypatch.setattr(quarantine, "AFTER_FAILURE", 0.0)
    ours.ended(claimed, well=False)
    ours.attend(room.broker, 1)
    assert ours.has_claimed


def test_after_a_process_that_failed_the_next_one_is_half_as_large(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have wanted more threads, or files, than there are."""
    monkeypatch.setattr(quarantine, "AFTER_FAILURE", 0.0)
    ours = of(suspects(room, *"abcde", width=5))
    sizes = []
    for well in (False, False, False, True, True):
        ours.attend(room.broker, 5)
        claimed = ours.next()
        assert claimed is not None
        sizes.append(claimed.size)
        ours.ended(claimed, well)
    assert sizes == [5, 2, 1, 1, 5]


def test_who_stops_gives_up_what_it_claimed(room: Room) -> None:
    ours = of(suspects(room, "a"))
    ours.attend(room.broker, 1)
    ours.close()
    ours.attend(room.broker, 1)
    assert (room["claims"], ours.has_claimed) == (None, False)


def test_none_is_needed_once_nothing_waits(room: Room) -> None:
    ours = of(suspects(room, "a"))
    ours.attend(room.broker, 1)
    ours.next()
    ours.attend(room.broker, 0)
    assert not ours.is_needed
