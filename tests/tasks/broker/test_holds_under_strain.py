"""What a record a batch must not lose against a field a task: what is large, what fails in its middle, what others put there.

Of this kind: records that outgrow their fixed widths, by a large recovery or by failing again and again; a script that fails over
another key when it has let go already; ids that no `task_id=` takes, which others' ZADD does; and that a settlement costs no more
because others are held beside it.
"""

from __future__ import annotations

import random

import pytest

from hotqueue import keys
from hotqueue.errors import ConfigError, HotQueueError
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from tests.tasks.broker.test_holds import ended, fetched, records
from tests.tasks.contents import Room, place, sync

pytestmark = pytest.mark.servers("server")


def again(delivery: Delivery) -> Settlement:
    return Settlement(delivery.id, delivery.held_as or delivery.number, "R", b"", 60_000, "1 0 - - -")


def test_more_than_four_digits_of_tasks_are_recovered(room: Room) -> None:
    count = 11_000
    session, _ = fetched(room, count)
    for _ in range(count // 1000):
        session.step(1000)
    found = session.recover([])
    assert found is not None
    assert len(found) == count
    assert len(room.broker.held("w")) == count
    assert session.settle([ended(delivery) for delivery in found[:200]]).gone == []
    room.broker.reap("w", known_dead=True)
    assert len(room["ready"]) == count - 200


def test_a_recovery_that_fails_lets_go_of_nothing(room: Room) -> None:
    session, _ = fetched(room, 3)
    before = records(room)
    room.client.set(room.prefix + "attempts", "no hash")
    with pytest.raises(ConfigError):
        session.recover([])
    assert records(room) == before
    room.client.delete(room.prefix + "attempts")
    found = session.recover([])
    assert [each.id for each in found or []] == ["t0", "t1", "t2"]


def test_settlements_that_fail_again_and_again_leave_the_record_readable(room: Room) -> None:
    session, deliveries = fetched(room, 100)
    room.client.set(room.prefix + "scheduled", "no sorted set")
    for n in range(1100):
        with pytest.raises(ConfigError):
            session.settle([again(deliveries[50 + n % 7])])
    assert len(room.broker.held("w")) == 100
    room.client.delete(room.prefix + "scheduled")
    assert room.broker.take_back("w", 1, 10) == 10
    assert session.settle([again(each) for each in deliveries[:90]]).gone == []
    assert room["held:w"] is None


def test_a_failing_script_forgets_no_revocation(room: Room) -> None:
    names = ["a", "b", "c"]
    room.fill({"tasks": {n: sync() for n in names}, "ready": {n: place(i) for i, n in enumerate(names)}, "revoked": {"b"}})
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    _, b, _ = session.step(3).deliveries
    room.client.set(room.prefix + "scheduled", "no sorted set")
    with pytest.raises(ConfigError):
        session.settle([again(b)])
    assert room["held:w"]["b"].split()[1] == "S"


def test_a_newer_record_beside_it_costs_no_hold_of_a_task_settled_wherever_it_is(room: Room) -> None:
    session, deliveries = fetched(room, 2)
    session.settle([ended(deliveries[0], "L")])
    value = records(room)[b"1"]
    room.client.hset(room.prefix + "held:w", "1", b"2" + value[1:])
    before = records(room)
    with pytest.raises(HotQueueError, match="newer"):
        session.settle([ended(each)._replace(number="*") for each in deliveries])
    assert records(room) == before


def session_with(room: Room, names: list[str]) -> tuple[Session, dict[str, Delivery]]:
    raw = [keys.raw(name) for name in names]
    bodies = {name: sync(ascii(name)) for name in raw}
    room.fill({"tasks": bodies, "ready": {name: place(n) for n, name in enumerate(raw)}})
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    return session, {each.id: each for each in session.step(10).deliveries}


@pytest.mark.parametrize("name", ["L1", "1", "1:1", "*", "é" * 100, "x" * 200, "\udcff", "%a", "-", "s0000000000000000"])
def test_whatever_its_id_looks_like_it_goes_back_to_its_place(room: Room, name: str) -> None:
    session, deliveries = session_with(room, ["t", name, "u"])
    assert list(deliveries) == ["t", name, "u"]
    assert session.settle([ended(deliveries["u"])]).gone == []
    assert sorted(room.broker.held("w")) == sorted(["t", name])
    assert session.settle([ended(deliveries[name], "L")]).gone == []
    assert session.settle([ended(deliveries[name])._replace(number="*")]).gone == []
    assert room.broker.held("w") == ["t"]


@pytest.mark.parametrize("name", ["a\nb", "\n", "a\n", "\na", ""])
def test_an_id_that_no_task_has_brings_no_other_into_disorder(room: Room, name: str) -> None:
    session, deliveries = session_with(room, ["t", name, "u"])
    assert {each.id: each.data for each in deliveries.values()} == {"t": sync("b't'").encode(), "u": sync("b'u'").encode()}
    assert session.settle([ended(each) for each in deliveries.values()]).gone == []
    assert (room["tasks"], room["ready"], room["held:w"]) == (None, None, None)


@pytest.mark.parametrize("score", ["inf", "-inf", "1e20", "-5", "1.5", "12345678901234567", "7036874417766401"])
def test_whatever_place_others_gave_it_is_taken(room: Room, score: str) -> None:
    room.fill({"tasks": {"t": sync(), "u": sync()}})
    room.client.zadd(room.prefix + "ready", {"t": score, "u": place(1)})
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    deliveries = session.step(10).deliveries
    order = [each.id for each in deliveries]
    assert sorted(order) == ["t", "u"]
    room.broker.reap("w", known_dead=True)
    assert [each.decode() for each in room.client.zrange(room.prefix + "ready", 0, -1)] == order


def test_those_who_wait_for_what_ended_before_a_failure_are_told(room: Room) -> None:
    session, deliveries = fetched(room, 2)
    room.fill({"waiters": {"t0": room.prefix + "reply:c"}})
    room.client.set(room.prefix + "scheduled", "no sorted set")
    with pytest.raises(ConfigError):
        session.settle([ended(deliveries[0]), again(deliveries[1])])
    assert room["reply:c"] == ["Rt0\0record"]
    assert room["waiters"] is None
    assert room["stats"] == {"succeeded": 1}


def test_a_worker_that_held_many_small_fetches_is_reaped_in_few_calls(room: Room) -> None:
    names = [f"t{n}" for n in range(400)]
    room.fill({"tasks": {name: sync(name) for name in names}, "ready": {name: place(n) for n, name in enumerate(names)}})
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    assert all(session.step(1).deliveries for _ in names)
    every_key, args = room.broker.reap_call("w", known_dead=True)
    replies = [room.broker.store.run(scripts.REAP, every_key, args, doing="reaping") for _ in range(2)]
    assert [(back, left) for back, left, _ in replies] == [(200, 200), (200, 0)]
    assert len(room["ready"]) == 400
    assert room["workers"] is None


@pytest.mark.parametrize("order", ["backwards", "every third"])
def test_gaps_are_nobodys(room: Room, order: str) -> None:
    """One that has gone from the middle may be named again, beside those that have not."""
    session, deliveries = fetched(room, 10)
    some = deliveries[:0:-1][:5] if order == "backwards" else deliveries[1::3]
    assert session.settle([ended(each) for each in some]).gone == []
    gone = {each.id for each in some}
    assert set(room.broker.held("w")) == {each.id for each in deliveries} - gone
    assert set(session.settle([ended(each, "P") for each in deliveries[:6]]).gone) == gone & {f"t{n}" for n in range(6)}
    assert set(session.settle([ended(each, "P")._replace(number="*") for each in deliveries]).gone) == gone | {
        f"t{n}" for n in range(6)
    }
    assert set(room["ready"]) == {each.id for each in deliveries} - gone
    assert room["held:w"] is None


def test_only_one_of_two_settlements_of_a_task_in_one_trip_counts(room: Room) -> None:
    session, (a, b) = fetched(room, 2)
    assert sorted(session.settle([ended(b), ended(b), ended(b, "X"), ended(a, "X"), ended(a)]).gone) == ["t0", "t1", "t1"]
    assert room["stats"] == {"succeeded": 2}
    assert room["held:w"] is None


def test_thousands_are_settled_in_one_trip(room: Room) -> None:
    session, deliveries = fetched(room, 3000)
    deliveries += session.step(1000).deliveries + session.step(1000).deliveries
    random.Random(3).shuffle(deliveries)
    assert session.settle([ended(each) for each in deliveries[:2000]]).gone == []
    assert sorted(room.broker.held("w")) == sorted(each.id for each in deliveries[2000:])
    room.client.zadd(room.prefix + "workers", {"w": 1})
    assert Audit(room.broker).portion() == 0
    assert session.settle([ended(each) for each in deliveries[2000:]]).gone == []
    assert (room["held:w"], room["tasks"]) == (None, None)
