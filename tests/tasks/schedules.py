"""What tests of schedules begin with: one process that looks after a queue's schedules, slots that have come just now."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hotqueue.signing import Signer
from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.rules.firing import State
from hotqueue.tasks.supervisor.queue_schedules import QueueSchedules
from tests.tasks.contents import Room

MINUTE = 60_000
SLOTS = 400  # from the epoch to now, of a schedule that is `rare`


def looking(room: Room, signer: Signer | None = None, since: int = -MINUTE, **options: Any) -> QueueSchedules:
    """Return what looks after the queue's schedules, for so many ms."""
    made = QueueSchedules(room.broker, signer, 15_000, **options)
    made.mend()
    now, left = room.broker.next_slot()
    made.note(now, left)
    made.lived_since = now + since
    return made


def run(looked: QueueSchedules) -> None:
    """Do what is due now."""
    looked.due_at = 0.0
    looked.run()


def put(room: Room, name: str, back: int = 0, **changes: Any) -> State:
    """Have the last slot of a schedule that is `rare` be its next one; or one so many before that."""
    [(_, _, text)] = room.broker.schedules([name])
    [found] = [each for each in room.queue.schedules() if each.name == name]
    state, every = State.read(text), int(found._stored.plan.timetable.what)
    assert state is not None
    after = replace(state, **{"slot": (int(time.time() * 1000) // every - back) * every, **changes})
    assert room.broker.set_schedules([Change(name, text, after.text, due=str(after.slot))]) == [True]
    return after


def rare(ago: int = 1500) -> float:
    """Return seconds between the slots of a schedule: the last one was so many ms ago, the next is in weeks."""
    return (int(time.time() * 1000) - ago) // SLOTS / 1000


def state_of(room: Room, name: str = "s") -> State:
    found = State.read(room.broker.schedule_states([name])[0])
    assert found is not None
    return found


def fired(room: Room) -> list[str]:
    """Return the ids of what was stored."""
    return sorted(room["tasks"] or {})
