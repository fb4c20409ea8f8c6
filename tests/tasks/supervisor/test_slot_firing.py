"""What one process fires: each slot once, in one step with the next; what is missed, and by whom.

Of the kind: several such processes; one that read long ago; keys that hold something else; other queues. With real processes that
are killed: tests/crash/test_schedules.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue, NewerQueue, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.rules.periodic import slot_text
from tests.support import next_version
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.schedules import fired, looking, put, rare, run, state_of

only_server = pytest.mark.servers("server")


class TestFiring:
    def test_a_slot_is_fired_once_whoever_fires_it(self, room: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
        slot = put(room, "s").slot
        assert slot is not None
        for looked in [looking(room), looking(room)]:
            run(looked)
        after = state_of(room)
        assert (fired(room), after.last) == ([f"periodic:s:{slot_text(slot)}"], slot)
        assert after.slot is not None
        assert after.slot > slot
        assert room["schedules:next"] == {"s": after.slot}
        room.queue.run_worker(burst=True)
        assert room.queue.result(f"periodic:s:{slot_text(slot)}").get(timeout=30) == 9
        [found] = room.queue.schedules()
        assert found.last_result is not None
        assert (found.last_result.get(), found.last_run is not None) == (9, True)

    def test_though_its_result_is_gone_it_is_not_fired_by_one_who_read_long_ago(self, room: Room) -> None:
        room.queue.schedule(
            "s",
            rare(),
            room.queue.task(
                sample.square,
            ),
            (3,),
        )
        put(room, "s")
        late, quick = looking(room), looking(room)
        read = room.broker.due_schedules()
        run(quick)
        room.queue.run_worker(burst=True)
        for key in room.client.scan_iter(match=f"*{room.queue.name}*"):
            if b":result:" in key or b":done:" in key:
                room.client.delete(key)
        assert late._firing.fire(read, 0) == 0
        assert fired(room) == []

    def test_tasks_are_as_they_were_told_to_be(self, room: Room) -> None:
        queue = room.queue
        for name, task, options in (
            ("async", queue.task(sample.asquare), {"priority": 9}),
            ("gated", queue.task(sample.square), {"max_concurrency": 1}),
            ("late", queue.task(sample.square), {"expires": 0}),
            ("value", lambda n: n, {}),
        ):
            queue.schedule(name, rare(), task, (3,), **options)
            put(room, name)
        run(looking(room))
        assert len(fired(room)) == 4
        assert len(room["ready:async"]) == len(room["gated"]) == len(room["expiring"]) == 1
        queue.run_worker(burst=True)
        states = {each.name: each.last_result.state.name for each in queue.schedules() if each.last_result is not None}
        assert states == {"async": "SUCCESS", "gated": "SUCCESS", "late": "REVOKED", "value": "SUCCESS"}

    @only_server
    def test_where_tasks_are_signed_what_is_fired_is(self, make_queue: Callable[..., HotQueue]) -> None:
        queue = make_queue(secret_key="k")
        room = Room(queue)
        queue.schedule("s", rare(), queue.task(sample.square), (3,))
        put(room, "s")
        run(looking(room))  # who has no key leaves it to others
        signer = registry_of(queue).signer
        assert fired(room) != [] or signer is not None
        run(looking(room, signer))
        queue.run_worker(burst=True)
        [found] = queue.schedules()
        room.wipe()
        assert found.last_run is not None

    def test_the_rest_is_fired_though_one_cannot_be(self, room: Room, caplog: pytest.LogCaptureFixture) -> None:
        for name in "ab":
            room.queue.schedule(name, rare(), room.queue.task(sample.square), (3,))
            put(room, name)
        room.client.hset(keys.schedules(room.queue.name), "a", "junk")
        run(looking(room))
        run(looking(room))
        assert [task.split(":")[1] for task in fired(room)] == ["b"]
        assert "schedule 'a' is none that this version of hotqueue can read here" in caplog.text

    @only_server
    def test_a_key_of_the_wrong_type_moves_no_slot(self, room: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
        before = put(room, "s")
        room.client.set(room.prefix + "seq", "x")
        looked = looking(room)
        run(looked)
        assert (fired(room), state_of(room)) == ([], before)
        room.client.delete(room.prefix + "seq")
        run(looked)
        assert len(fired(room)) == 1

    @pytest.mark.parametrize("on_conflict", ["raise", "ignore", "replace"])
    @only_server
    def test_a_slot_whose_unique_key_is_taken_passes_and_the_others_are_fired(self, room: Room, on_conflict: str) -> None:
        task = room.queue.task(unique=True, on_conflict=on_conflict)(sample.square)
        task.apply_async((3,), task_id="before")
        for name, n in (("taken", 3), ("free", 4)):
            room.queue.schedule(name, rare(), task, (n,))
            put(room, name)
        run(looking(room))
        there = {task_id.split(":")[1] if ":" in task_id else task_id for task_id in fired(room)}
        assert there == ({"taken", "free"} if on_conflict == "replace" else {"before", "free"})
        assert all(at > time.time() * 1000 for at in room["schedules:next"].values())

    @only_server
    def test_a_newer_queue_is_left_alone(self, room: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
        put(room, "s")
        looked = looking(room)
        next_version.upgrade(room.broker.store, room.queue.name)
        with pytest.raises(NewerQueue):
            run(looked)
        assert fired(room) == []

    def test_to_another_queue(self, room: Room, other: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,), queue=other.queue.name)
        put(room, "s")
        run(looking(room))
        assert fired(room) == []
        assert [task.split(":")[1] for task in fired(other)] == ["s"]
        assert room["outbox"] is None

    @only_server
    def test_many_at_once(self, room: Room) -> None:
        task = room.queue.task(sample.square)
        for n in range(250):
            room.queue.schedule(f"s{n}", rare(), task, (n,))
            put(room, f"s{n}")
        run(looking(room))
        assert len(fired(room)) == 250
        assert min(room["schedules:next"].values()) > time.time() * 1000 - 2000


class TestMissed:
    @pytest.mark.parametrize(("misfire", "count"), [("once", 1), ("skip", 0), ("all", 3)])
    @only_server
    def test_what_passed_before_our_time_is_left_to_others_first(self, room: Room, misfire: str, count: int) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,), misfire=misfire)
        put(room, "s")
        looked = looking(room, since=-1)
        run(looked)
        assert fired(room) == []
        assert looked.due_at > time.monotonic() + 1
        put(room, "s", back=2)
        run(looked)
        assert len(fired(room)) == count
        assert (state_of(room).slot or 0) > time.time() * 1000

    @only_server
    def test_one_who_does_not_stay_makes_up_for_it_at_once(self, room: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
        put(room, "s")
        run(looking(room, since=-1, is_patient=False))
        assert len(fired(room)) == 1

    @pytest.mark.parametrize("elsewhere", [False, True])
    @only_server
    def test_one_whose_last_call_has_not_ended_is_skipped(self, room: Room, other: Room, elsewhere: bool) -> None:
        task, there = room.queue.task(sample.square), other if elsewhere else room
        made = room.queue.schedule("s", rare(), task, (3,), overlap="skip", queue=there.queue.name)
        last = put(room, "s", back=1).slot
        assert last is not None
        task.apply_async((3,), task_id=made._stored.plan.task_id(last), queue=there.queue.name)
        put(room, "s", last=last)
        looked = looking(room)
        run(looked)
        after = state_of(room)
        assert (len(fired(there)), after.last, (after.slot or 0) > last) == (1, last, True)
        there.queue.task(sample.square)
        there.queue.run_worker(burst=True)
        put(room, "s", last=last)
        run(looked)
        assert len(fired(there)) == 1

    @only_server
    def test_of_several_that_were_missed_one_is_fired_where_none_is_to_overlap(self, room: Room) -> None:
        room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,), overlap="skip", misfire="all")
        put(room, "s", back=2)
        run(looking(room))
        assert len(fired(room)) == 1


@only_server
def test_who_only_reads_changes_nothing(room: Room) -> None:
    room.queue.schedule("s", rare(), room.queue.task(sample.square), (3,))
    put(room, "s")
    before = room.contents()
    Broker(room.broker.store, room.queue.name).due_schedules()
    assert room.contents() == before
