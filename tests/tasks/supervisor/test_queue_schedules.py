"""When a process looks at the schedules of a queue, and what it makes of the server's clock.

What it fires: test_slot_firing.py. What it declares: test_declaring.py.
"""

from __future__ import annotations

import time

import pytest

from hotqueue.errors import HotQueueError
from hotqueue.tasks.supervisor.queue_schedules import QueueSchedules
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.schedules import looking, put

only_server = pytest.mark.servers("server")


@only_server
def test_a_clock_that_is_put_back_while_we_look_is_noticed(room: Room) -> None:
    room.queue.schedule("s", 3600, room.queue.task(sample.square), (3,))
    looked = looking(room)
    put(room, "s", slot=int(time.time() * 1000) + 10 * 3_600_000)
    now, _ = room.broker.next_slot()
    looked.note(now + 10 * 3_600_000, 5)
    looked.note(*room.broker.next_slot())
    assert looked.begins_at == 0.0
    looked.run()
    assert room["schedules:next"]["s"] < now + 3_700_000


@only_server
def test_it_is_woken_when_something_is_due_and_by_nothing_else(room: Room) -> None:
    looked = QueueSchedules(room.broker, None, 15_000)
    assert not looked.is_needed
    looked.note(1_000_000, 500)
    assert looked.is_needed
    assert 0.4 < looked.due_at - time.monotonic() < 0.6
    looked.note(1_000_000, -1)
    assert not looked.is_needed
    looked.leave()
    looked.note(1_000_000, 5)
    assert not looked.is_needed


@pytest.mark.parametrize(("jump", "lived"), [(500, True), (5000, False), (-5000, False)])
@only_server
def test_a_clock_that_was_set_begins_a_new_life(room: Room, jump: int, lived: bool) -> None:
    looked = QueueSchedules(room.broker, None, 15_000)
    now = int(time.time() * 1000)
    looked.note(now, 5)
    looked.note(now + jump, 5)
    assert (looked.lived_since == now) == lived
    looked.note_stopped()
    looked.note(now + jump + 5, 5)
    assert looked.lived_since == now + jump + 5


@only_server
def test_what_fails_is_tried_again_in_a_while(room: Room) -> None:
    room.client.set(room.prefix + "schedules:states", "x")
    looked = QueueSchedules(room.broker, None, 15_000)
    looked.note(1_000_000, 0)
    with pytest.raises(HotQueueError, match="schedules:states"):
        looked.run()
    looked.note(1_000_000, 0)
    assert looked.begins_at > time.monotonic() + 0.5
