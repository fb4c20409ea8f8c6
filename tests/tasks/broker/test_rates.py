"""Rates: of the tasks under one key at most so many start in any period, and each starts as soon as that allows.

Of this kind: each way by which a task comes to start (sent, retried, put back); other limits, periods and keys; a clock that was
put back; timers that somebody deleted; the log of starts for any limit. What real workers do: tests/crash/test_rates.py.
"""

from __future__ import annotations

import struct
import time

import pytest

from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.settlement import Delivery, Settlement, put_back
from tests.support.waiting import wait_until
from tests.tasks.broker.test_lanes import assert_nothing_is_left, names, plain, settle, worker
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")
RECORD = struct.Struct(">QI")


def rated(task_id: str, gates: str = "r2/1000 k:k", *, kind: int = envelope.SYNC, priority: int = 0) -> bytes:
    """Return an envelope of a task with these gates."""
    call, flags = envelope.call_header("7", gates=gates.encode())
    header = envelope.task_header("t", "q", {})
    return envelope.Form(header, kind, priority, flags).encode(task_id.encode(), 0, call, b"payload")


def send(room: Room, *ids: str, gates: str = "r2/1000 k:k", due: str = "", kind: int = envelope.SYNC, priority: int = 0) -> None:
    room.broker.enqueue([Encoded(task_id, due, "", rated(task_id, gates, kind=kind, priority=priority)) for task_id in ids])


def log_of(room: Room, gate: str = "r1000 k:k") -> tuple[int, list[tuple[int, int]]]:
    """Return how many starts count, and the records: when the last was, how many."""
    value = room.client.get(room.prefix + "starts:" + gate) or b"\0\0\0\0"
    records = [RECORD.unpack(b"\0\0" + value[at : at + 10]) for at in range(4, len(value), 10)]
    return int.from_bytes(value[:4], "big"), records


def write_log(room: Room, records: list[tuple[int, int]], gate: str = "r1000 k:k") -> None:
    value = sum(number for _, number in records).to_bytes(4, "big") + b"".join(RECORD.pack(*each)[2:] for each in records)
    room.client.set(room.prefix + "starts:" + gate, value, px=60_000)


def server_ms(room: Room) -> int:
    seconds, micros = room.client.time()
    return int(seconds * 1000 + micros // 1000)


def fetch_all(session: Session) -> list[str]:
    found = []
    while deliveries := session.step(9).deliveries:
        found += names(deliveries)
        for each in deliveries:
            settle(session, each)
    return found


def test_only_so_many_start_and_the_next_when_the_first_count_no_more(room: Room) -> None:
    send(room, *"abcde")
    assert (set(room["ready"]), set(room["lane:r1000 k:k"])) == ({"a", "b"}, {"c", "d", "e"})
    assert room["timers"] is None  # nobody has started
    session, began = worker(room), time.monotonic()
    [a] = session.step(9).deliveries  # no more than start at once
    assert (a.id, log_of(room)[0]) == ("a", 1)
    settle(session, a)
    assert fetch_all(session) == ["b"]
    due = int(room["scheduled"]["\n"])
    assert due <= room["timers"]["r1000 k:k"] <= due + 10
    assert 0 < due - log_of(room)[1][0][0] <= 1062
    assert 0 < session.step(9).due <= 1062
    wait_until(lambda: room.broker.promote() != 0 and room["ready"] is not None)
    assert time.monotonic() - began >= 1.0
    ran: list[str] = []
    wait_until(lambda: room.broker.promote() != 0 and bool(ran.extend(fetch_all(session)) or len(ran) == 3))
    assert ran == ["c", "d", "e"]
    assert room["timers"] is None
    assert_nothing_is_left(room)
    assert (room["tasks"], room["scheduled"]) == (None, None)
    assert 0 < room.ttl("starts:r1000 k:k") <= 2110


def test_what_is_ready_and_has_not_started_counts_as_well(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    assert fetch_all(session) == ["a"]
    send(room, "b", "c")
    assert (set(room["ready"]), set(room["lane:r1000 k:k"])) == ({"b"}, {"c"})
    assert "\n" in room["scheduled"]


def test_a_retry_counts_and_waits_behind_the_others(room: Room) -> None:
    send(room, *"abc", gates="r1/1000 k:k")
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a, "R", 0, "1 0 - - -")
    assert list(room["lane:r1000 k:k"]) == ["b", "c", "a"]


def test_what_was_put_back_is_counted_anew_when_it_starts(room: Room) -> None:
    send(room, *"ab", gates="r2/1000 k:k")
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a, "P")
    assert names(session.step(9).deliveries) == ["a"]
    assert log_of(room)[0] == 2
    assert session.step(9).deliveries == []  # b had a slot, but nobody may start
    assert (room["ready"], set(room["lane:r1000 k:k"]), room["blocked"]) == (None, {"b"}, {"b"})


def test_what_goes_back_unstarted_did_not_start(room: Room) -> None:
    send(room, *"ab", gates="r2/60000 k:k")
    session = worker(room)
    stepped = session.step(9)
    [a] = stepped.deliveries
    assert names(session.step(9).deliveries) == ["b"]
    assert log_of(room, "r60000 k:k")[0] == 2
    session.settle([Settlement("a", a.number, "P", b"", 0, str(stepped.now))])
    assert log_of(room, "r60000 k:k")[0] == 1
    session.settle([Settlement("b", 2, "P", b"", 0, str(stepped.now - 5000))])  # not so long ago
    assert log_of(room, "r60000 k:k")[0] == 1
    assert names(session.step(9).deliveries) == ["a"]
    assert sum(number for _, number in log_of(room, "r60000 k:k")[1]) == 2  # in one hundredth of the period, or in two


def test_a_fetch_of_somebody_who_sleeps_brings_none(room: Room) -> None:
    room.broker.enqueue([Encoded("plain", "", "", plain("plain"))])
    send(room, "a")
    session = worker(room)
    session.number += 1
    step = session._send(session.number, -9, ())
    assert names(step.end().deliveries) == ["plain"]
    session.number += 1
    stepped = session._send(session.number, -9, ()).end()
    assert (stepped.deliveries, stepped.left) == ([], 1)
    assert names(session.step(9).deliveries) == ["a"]


def test_of_a_high_limit_several_are_fetched_together(room: Room) -> None:
    ids = [f"t{n}" for n in range(30)]
    send(room, *ids, gates="r100/60000 k:k")
    assert names(worker(room).step(30).deliveries) == ids[:10]


def test_async_ones_all_start_at_once(room: Room) -> None:
    ids = [f"t{n}" for n in range(10)]
    send(room, *ids, gates="r20/60000 k:k", kind=envelope.ASYNC)
    assert names(worker(room, "v", "a").step(30).deliveries) == ids


def test_other_keys_and_periods_have_gates_of_their_own(room: Room) -> None:
    send(room, *"ab", gates="r1/1000 k:k")
    send(room, "c", gates="r1/60000 k:k")
    send(room, "d", gates="r1/1000 k:other")
    assert set(room["ready"]) == {"a", "c", "d"}


def test_other_limits_count_together(room: Room) -> None:
    send(room, "a", gates="r2/1000 k:k")
    send(room, "b", gates="r1/1000 k:k")
    send(room, "c", gates="r2/1000 k:k")
    session = worker(room)
    assert fetch_all(session) == ["a"]
    assert list(room["lane:r1000 k:k"]) == ["b", "c"]


def test_in_a_lane_the_priority_counts(room: Room) -> None:
    send(room, *"ab", gates="r1/1000 k:k")
    send(room, "c", gates="r1/1000 k:k", priority=5)
    assert list(room["lane:r1000 k:k"]) == ["c", "b"]


def test_what_waits_is_counted_looked_at_and_explained(room: Room) -> None:
    send(room, *"abcd", gates="r1/60000 k:k")
    session = worker(room)
    assert fetch_all(session) == ["a"]
    counts = room.broker.counts()
    assert (counts["scheduled"], counts["blocked"], counts["waiting"]) == (0, 3, 3)
    looked = room.broker.look("c")
    assert (looked.where, looked.detail) == ("lane", 1)
    found = room.broker.at_gate("c")
    assert found is not None
    assert (found.what, found.key, found.limit, found.used, found.period) == ("r", "k:k", 1, 1, 60_000)
    assert 59_000 < found.opens_in <= 60_500
    with pytest.raises(TimeoutError, match=r"rate_limit= of key 'k', 1 in 60 s, is used up: opens in [56]\d\.\d s; 1 task is"):
        room.queue.result("c").get(timeout=0.05)


def test_what_is_revoked_or_all_that_waits_leaves_no_timer(room: Room) -> None:
    send(room, *"abc", gates="r1/60000 k:k")
    session = worker(room)
    assert fetch_all(session) == ["a"]
    for task_id in "bc":
        assert room.broker.revoke(task_id, b"record", 1000) == "revoked"
    assert (room["timers"], room["scheduled"]) == (None, None)
    assert_nothing_is_left(room)


def test_one_that_starts_and_one_that_may_not_in_one_fetch_leave_the_alarm_on(room: Room) -> None:
    """The first sets the lane's timer; the second goes back to the lane, which takes its turn, and the timer, anew."""
    send(room, *(f"t{n:02}" for n in range(25)), gates="r20/60000 k:k")
    session = worker(room)
    taken = [each for _ in range(10) for each in session.step(9).deliveries]
    assert len(taken) == 20
    session.step(0, [put_back(taken[0]), put_back(taken[1], server_ms(room))])
    assert names(session.step(9).deliveries) == ["t00"]
    assert min(room["lane:r60000 k:k"], key=room["lane:r60000 k:k"].get) == "t01"
    assert room["scheduled"] == {"\n": room["timers"]["r60000 k:k"]}


def test_one_that_is_ready_and_is_revoked_lets_the_next_in(room: Room) -> None:
    send(room, *"ab", gates="r1/60000 k:k")
    assert room.broker.revoke("a", b"record", 1000) == "revoked"
    assert set(room["ready"]) == {"b"}


def test_a_clock_that_was_put_back_shuts_it_for_a_period_at_most(room: Room) -> None:
    write_log(room, [(server_ms(room) + 3_600_000, 2)])
    send(room, *"ab")
    assert room["ready"] is None
    due = room["timers"]["r1000 k:k"]
    assert 0 < due - server_ms(room) <= 1062
    room.fill({"timers": {"r1000 k:k": due + 3_600_000}, "scheduled": {"\n": due + 3_600_000}})
    Audit(room.broker).portion()
    assert -100 < room["scheduled"]["\n"] - server_ms(room) <= 1062


@pytest.mark.parametrize("thing", ["timers", "scheduled", "turns:r1000 k:k", "starts:r1000 k:k", "slots:r1000 k:k", "lanes"])
def test_a_key_that_was_deleted_is_made_good(room: Room, thing: str) -> None:
    send(room, *"abc", gates="r1/1000 k:k")
    session = worker(room)
    ran = fetch_all(session)
    room.client.delete(room.prefix + thing)
    audit = Audit(room.broker)

    def go_on() -> bool:
        audit.portion()
        room.broker.promote()
        ran.extend(fetch_all(session))
        return room["tasks"] is None

    wait_until(go_on)
    assert ran == ["a", "b", "c"]
    audit.portion()
    assert_nothing_is_left(room)
    assert (room["timers"], room["scheduled"]) == (None, None)


@pytest.mark.parametrize("thing", ["timers", "turns:r1000 k:k", "starts:r1000 k:k", "slots:r1000 k:k", "lane:r1000 k:k"])
def test_what_stands_there_of_others_costs_its_own_tasks_alone(room: Room, thing: str) -> None:
    send(room, *"abc", gates="r1/1000 k:k")
    room.broker.enqueue([Encoded("plain", "", "", plain("plain"))])
    session = worker(room)
    key, aside = room.prefix + thing, room.prefix + "aside"
    was_there = room.client.exists(key)
    if was_there:
        room.client.rename(key, aside)
    room.client.rpush(key, "not ours")
    ran = fetch_all(session)
    assert "plain" in ran
    room.client.delete(key)
    if was_there:
        room.client.rename(aside, key)
    audit = Audit(room.broker)

    def go_on() -> bool:
        audit.portion()
        room.broker.promote()
        ran.extend(fetch_all(session))
        return room["tasks"] is None

    wait_until(go_on)
    assert sorted(ran) == ["a", "b", "c", "plain"]


def test_the_log_is_small_whatever_the_limit(room: Room) -> None:
    now = server_ms(room)
    gate = "r86400000 k:k"
    write_log(room, [(now - 86_000_000 + 864_000 * n, 900) for n in range(99)], gate)
    send(room, *(f"t{n}" for n in range(200)), gates="r100000/86400000 k:k")
    session, started = worker(room), 0
    while deliveries := session.step(50).deliveries:
        started += len(deliveries)
        session.settle([Settlement(each.id, each.number, "X", b"", 0, "") for each in deliveries])
    used, records = log_of(room, gate)
    assert started == 200
    assert (used, len(records)) == (sum(number for _, number in records), 100)
    assert len(room.client.get(room.prefix + f"starts:{gate}")) <= 1100


def test_starts_that_count_no_more_make_room(room: Room) -> None:
    now = server_ms(room)
    write_log(room, [(now - 3000, 1), (now - 20, 1)])
    send(room, *"ab")
    assert set(room["ready"]) == {"a"}


def test_whoever_sleeps_is_told_of_a_timer(room: Room) -> None:
    send(room, *"ab", gates="r1/60000 k:k")
    session = worker(room)
    room.client.delete(room.prefix + "bell")
    [a] = session.step(1).deliveries
    assert room["bell"] == ["1"]
    assert isinstance(a, Delivery)
