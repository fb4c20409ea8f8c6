"""Changes of schedules: each counts only if nothing was changed since it was read; what is fired comes with it, or not at all.

Who decides what is changed: tests/tasks/supervisor/test_queue_schedules.py.
"""

from __future__ import annotations

import pytest

from hotqueue import ConfigError
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.wire.outgoing import Outgoing, packed
from tests.tasks.contents import Room, sync

PAST, FUTURE = "1000", "9999999999999"


def task(name: str) -> Encoded:
    return Encoded(name, "", "", sync(name).encode())


@pytest.fixture
def scheduled(room: Room) -> Room:
    assert room.broker.set_schedules([Change(name, "", "one", b"row of " + name.encode(), PAST) for name in "ab"]) == [True, True]
    return room


def test_a_change_of_what_was_changed_meanwhile_is_none(scheduled: Room) -> None:
    before = scheduled.contents()
    assert (
        scheduled.broker.set_schedules([Change("a", "", "two"), Change("b", "other", ""), Change("c", "one", "two")])
        == [False] * 3
    )
    assert scheduled.contents() == before
    assert scheduled.broker.set_schedules([Change("a", "one", "two", b"", FUTURE), Change("b", "one", "")]) == [True, True]
    assert (scheduled["schedules"], scheduled["schedules:states"]) == ({"a": "row of a"}, {"a": "two"})
    assert scheduled["schedules:next"] == {"a": int(FUTURE)}


def test_what_is_fired_comes_with_its_change_or_not_at_all(scheduled: Room) -> None:
    changes = [Change("a", "one", "two", due=FUTURE, tasks=2), Change("b", "other", "two", due=FUTURE, tasks=1)]
    assert scheduled.broker.fire_schedules(changes, [task("a1"), task("a2"), task("b1")]) == [True, False]
    assert (sorted(scheduled["tasks"]), scheduled["schedules:next"]) == (["a1", "a2"], {"a": int(FUTURE), "b": int(PAST)})
    assert scheduled.broker.fire_schedules(changes, [task("a1"), task("a2"), task("b1")]) == [False, False]  # asked again
    assert len(scheduled["ready"]) == 2


def test_a_task_that_is_known_already_is_no_new_one_and_the_slot_moves_on(scheduled: Room) -> None:
    scheduled.broker.enqueue([task("a1")])
    assert scheduled.broker.fire_schedules([Change("a", "one", "two", due=FUTURE, tasks=1)], [task("a1")]) == [True]
    assert (len(scheduled["ready"]), scheduled["schedules:states"]["a"]) == (1, "two")


def test_what_goes_to_another_queue_is_posted_with_its_change(scheduled: Room) -> None:
    posts = packed([Outgoing("other", "a1", "", "+5", sync("a1").encode())])
    changes = [Change("a", "one", "two", due=FUTURE, posts=posts), Change("b", "old", "two", posts=posts)]
    assert scheduled.broker.set_schedules(changes) == [True, False]
    assert (scheduled["outbox"], len(scheduled["posted:other"])) == ({"other": "0"}, 1)


@pytest.mark.parametrize("thing", ["schedules", "schedules:states", "schedules:next", "schedules:declarers"])
@pytest.mark.servers("server")
def test_a_key_of_the_wrong_type_is_named_and_nothing_is_written(scheduled: Room, thing: str) -> None:
    scheduled.client.delete(scheduled.prefix + thing)
    scheduled.client.set(scheduled.prefix + thing, "x")
    before = scheduled.contents()
    if thing != "schedules:declarers":
        with pytest.raises(ConfigError, match=thing):
            scheduled.broker.set_schedules([Change("c", "", "one", b"row", PAST)])
        with pytest.raises(ConfigError, match=thing):
            scheduled.broker.fire_schedules([Change("a", "one", "two", due=FUTURE, tasks=1)], [task("a1")])
    with pytest.raises(ConfigError, match=thing):
        scheduled.broker.due_schedules()
    assert scheduled.contents() == before


def test_what_is_due_is_told_and_what_nobody_knows_is_forgotten(scheduled: Room) -> None:
    due = scheduled.broker.due_schedules()
    assert (due.left, sorted(due.rows)) == (0, [("a", b"row of a", "one"), ("b", b"row of b", "one")])
    assert len(scheduled.broker.due_schedules(1).rows) == 1
    scheduled.client.hdel(scheduled.prefix + "schedules", "a")
    assert [name for name, _, _ in scheduled.broker.due_schedules().rows] == ["b"]
    assert list(scheduled["schedules:next"]) == ["b"]
    scheduled.broker.set_schedules([Change("b", "one", "two", due=FUTURE)])
    assert scheduled.broker.due_schedules().left > 1000
    assert scheduled.broker.sweep(0, []).slot > 1000


def test_who_declares_is_told_until_its_time_is_over(room: Room) -> None:
    broker = room.broker
    first = broker.declare("v1 5 host:1", 10_000)
    assert (first.was_live, first.others, first.forgotten) == (False, [], 0)
    assert broker.declare("v1 5 host:1", 10_000).was_live
    assert broker.declare("v2 6 host:2", 10_000).others == ["v1 5 host:1"]
    broker.declare("v1 5 host:1", 0)
    assert broker.due_schedules(0).live == ["v2 6 host:2"]
    assert len(broker.declarers()) == 2
    room.client.zadd(room.prefix + "schedules:declarers", {"v1 5 host:1": 5})
    assert broker.declare("v2 6 host:2", 10_000).forgotten == 1
    assert room.ttl("schedules:declarers") > 86_400_000
    assert list(broker.declarers()) == ["v2 6 host:2"]


def test_a_queue_with_schedules_is_swept_and_kept(scheduled: Room) -> None:
    other = [scheduled.broker, type(scheduled.broker)(scheduled.broker.store, scheduled.queue.name + "-none")]
    assert many_queues.need_upkeep(other) == [True, False]
    assert many_queues.have_schedules(other)[0]
    assert many_queues.have_schedules(other[1:]) == [False]
