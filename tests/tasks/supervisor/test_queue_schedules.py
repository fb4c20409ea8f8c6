"""When a process looks at the schedules of a queue, and what it makes of the server's clock.

What it fires: test_slot_firing.py. What it declares: test_declaring.py.
"""

from __future__ import annotations

import time

import pytest

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker.scheduling import AT_ONCE
from hotqueue.tasks.supervisor.queue_schedules import QueueSchedules
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.schedules import fired, looking, put, rare, run

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
def test_an_answer_that_was_read_late_is_no_clock_that_was_set_and_puts_off_nothing(room: Room) -> None:
    """That of a sweep comes with those of a thousand other queues, of a server that is busy."""
    looked = QueueSchedules(room.broker, None, 15_000)
    now, began = int(time.time() * 1000), time.monotonic()
    looked.note(now, 5)
    looked.note(now - 4000, 4500, asked_at=began - 4.1)
    assert looked.lived_since == now
    assert looked.due_at <= began + 0.5
    looked.note(now, 5)
    assert looked.lived_since == now
    looked.note(now - 5000, 5, asked_at=began - 1)
    assert looked.lived_since == now - 5000


@only_server
def test_what_fails_is_tried_again_in_a_while(room: Room) -> None:
    room.client.set(room.prefix + "schedules:states", "x")
    looked = QueueSchedules(room.broker, None, 15_000)
    looked.note(1_000_000, 0)
    with pytest.raises(HotQueueError, match="schedules:states"):
        looked.run()
    looked.note(1_000_000, 0)
    assert looked.begins_at > time.monotonic() + 0.5


class TestWhatCannotBeFired:
    """It holds up no other schedule: neither what comes while it is left alone, nor what has come behind many of its kind."""

    @only_server
    def test_what_comes_meanwhile_is_fired_in_time(self, room: Room) -> None:
        for name in ("junk", "soon"):
            room.queue.schedule(name, rare(), room.queue.task(sample.square), (3,))
        put(room, "junk")
        room.client.hset(room.prefix + "schedules", "junk", "junk")
        looked = looking(room)
        now, _ = room.broker.next_slot()
        room.client.zadd(room.prefix + "schedules:next", {"soon": now + 400})
        run(looked)
        assert 0 < looked.due_at - time.monotonic() <= 0.4
        room.client.zrem(room.prefix + "schedules:next", "soon")
        run(looked)
        assert looked.due_at - time.monotonic() > 0.4

    @only_server
    def test_what_has_just_come_is_read_first(self, room: Room) -> None:
        task = room.queue.task(sample.square)
        for name in ("junk", "good"):
            room.queue.schedule(name, rare(), task, (3,))
        state = put(room, "junk").text
        rows = {f"junk{n}": "junk" for n in range(3 * AT_ONCE)}
        room.client.hset(room.prefix + "schedules", mapping=rows)  # type: ignore[arg-type]
        room.client.hset(room.prefix + "schedules:states", mapping=dict.fromkeys(rows, state))
        room.client.zadd(room.prefix + "schedules:next", dict.fromkeys(rows, 5))
        put(room, "good")
        run(looking(room))
        assert [task_id.split(":")[1] for task_id in fired(room)] == ["good", "junk"]
        assert len({name for _ in range(20) for name, _, _ in room.broker.due_schedules().rows}) > AT_ONCE
