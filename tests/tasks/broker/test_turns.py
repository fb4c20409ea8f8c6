"""Turns: keys of `fair_key` have theirs one after another; several gates on one task. And all of it at random.

Of this kind: who comes later, other priorities and kinds, very many keys; a lane that goes from gate to gate. Keys that
are paused: test_gates.py. The last test walks through all of it with all gates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

import pytest

from hotqueue import DuplicateTask
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.broker.session import ALONE, Session
from hotqueue.tasks.rules import gates
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.settlement import Settlement
from tests.support.waiting import wait_until
from tests.tasks.broker.test_lanes import Walk, assert_nothing_is_left, commands, names, plain, settle, worker
from tests.tasks.broker.test_rates import fetch_all, rated, send
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")
IN_TURN = 16  # as in gates.lua


def run_in_order(room: Room, session: Session, most: int = 10_000) -> list[str]:
    ran: list[str] = []
    while len(ran) < most and (deliveries := session.step(1).deliveries):
        ran += names(deliveries)
        for each in deliveries:
            settle(session, each)
    return ran


# --- turns ---------------------------------------------------------------------------------------------------------------


def test_keys_take_turns(room: Room) -> None:
    send(room, *(f"a{n}" for n in range(5)), gates="f k:a")
    send(room, *(f"b{n}" for n in range(3)), gates="f k:b")
    send(room, "c0", gates="f k:c")
    assert set(room["ready"]) == {"a0"}
    assert run_in_order(room, worker(room)) == ["a0", "a1", "b0", "c0", "a2", "b1", "a3", "b2", "a4"]
    assert_nothing_is_left(room)
    assert (room["tasks"], room["scheduled"]) == (None, None)


def test_the_last_of_ten_starts_in_the_eleventh_turn_whatever_others_have(room: Room) -> None:
    for start in range(0, 10_000, 1000):
        send(room, *(f"a{n}" for n in range(start, start + 1000)), gates="f k:a")
    session = worker(room)
    assert len(run_in_order(room, session, 20)) == 20
    send(room, *(f"b{n}" for n in range(10)), gates="f k:b")
    ran = run_in_order(room, session, 40)
    assert sum(each.startswith("a") for each in ran[: ran.index("b9")]) <= 11


def test_of_those_that_take_turns_a_fetch_brings_one_and_others_with_it(room: Room) -> None:
    room.broker.enqueue([Encoded("p1", "", "", plain("p1"))])
    send(room, *"ab", gates="f k:a")
    room.broker.enqueue([Encoded("p2", "", "", plain("p2"))])
    session = worker(room)
    assert names(session.step(9).deliveries) == ["p1", "a", "p2"]
    assert names(session.step(9).deliveries) == ["b"]


def test_higher_priorities_come_first_and_turns_are_among_equal_ones(room: Room) -> None:
    send(room, *(f"a{n}" for n in range(3)), gates="f k:a")
    send(room, "b0", gates="f k:b")
    send(room, "low", gates="f k:a", priority=-5)
    send(room, *(f"h{n}" for n in range(2)), gates="f k:a", priority=5)
    send(room, "i0", gates="f k:i", priority=5)
    assert run_in_order(room, worker(room)) == ["h0", "h1", "i0", "a0", "a1", "b0", "a2", "low"]
    assert_nothing_is_left(room)


def test_sync_and_async_tasks_take_turns_apart(room: Room) -> None:
    send(room, "a", "b", gates="f k:a")
    send(room, "c", "d", gates="f k:a", kind=envelope.ASYNC)
    assert (set(room["ready"]), set(room["ready:async"])) == ({"a"}, {"c"})
    other = worker(room, "v", "a")
    assert names(other.step(9).deliveries) + names(other.step(9).deliveries) == ["c", "d"]


def test_one_that_is_put_back_keeps_its_place_and_takes_no_turn(room: Room) -> None:
    send(room, "a0", "a1", gates="f k:a")
    send(room, "b0", gates="f k:b")
    session = worker(room)
    [a0] = session.step(1).deliveries
    settle(session, a0, "P")
    assert set(room["ready"]) == {"a0", "a1"}
    assert run_in_order(room, session) == ["a0", "a1", "b0"]
    assert_nothing_is_left(room)


def test_a_suspect_waits_for_its_process_and_nobody_for_it(room: Room) -> None:
    send(room, *"abc", gates="f k:a")
    session, quarantine = worker(room), worker(room, "x", "x", ALONE)
    session.step(1)
    room.broker.reap("w", known_dead=True, charge=Charge('{"kind":"lost"}', ["a"]))
    assert (set(room["suspects"]), set(room["ready"])) == ({"a"}, {"b"})
    [a] = quarantine.step(1).deliveries
    settle(quarantine, a, "R", 0, "1 1 - - - 0 0 1")
    assert run_in_order(room, worker(room, "w2")) == ["b", "c"]
    assert set(room["suspects"]) == {"a"}
    [a] = quarantine.step(1).deliveries
    settle(quarantine, a)
    assert_nothing_is_left(room)


def test_ten_thousand_keys_with_a_task_each_cost_what_few_cost_and_leave_nothing(room: Room) -> None:
    def pass_through(task_id: str) -> None:
        send(room, task_id, gates=f"f k:{task_id}")
        [delivery] = session.step(1).deliveries
        settle(session, delivery)

    session = worker(room)
    send(room, "first", "second", gates="f k:x")
    pass_through("warm")
    few = commands(room, lambda: pass_through("few"))
    run_in_order(room, session)
    for start in range(0, 10_000, 1000):
        ids = [f"t{n}" for n in range(start, start + 1000)]
        room.broker.enqueue([Encoded(task_id, "", "", rated(task_id, f"f k:{task_id}")) for task_id in ids])
    pass_through("first of many")  # lets several in
    assert sum(commands(room, lambda: pass_through("many")).values()) <= sum(few.values()) + 20
    assert len(run_in_order(room, session)) == 10_000
    assert room["tasks"] is None
    assert_nothing_is_left(room)


def test_of_many_keys_several_are_fetched_together_in_their_turns(room: Room) -> None:
    for key in "abcdef":
        send(room, *(f"{key}{n}" for n in range(4)), gates=f"f k:{key}")
    session, ran, most = worker(room), [], 0
    while deliveries := session.step(50).deliveries:
        ran += names(deliveries)
        most = max(most, len(deliveries))
        for each in deliveries:
            settle(session, each)
    assert len(ran) == 24
    assert most == 5  # fewer than keys
    for n in range(4):  # the first key, whose first one was ready when the others came, is one ahead
        places = [ran.index(f"{key}{n}") for key in "bcdef"]
        assert max(places) - min(places) <= 5
    assert_nothing_is_left(room)


# --- several gates -------------------------------------------------------------------------------------------------------


def test_it_waits_at_the_first_gate_that_is_shut_and_then_at_the_next(room: Room) -> None:
    both = "c1 k:c\nr1/60000 k:r"
    lane = "k:c\nr60000 k:r"
    send(room, *"ab", gates=both)
    session = worker(room)
    assert set(room["turns:k:c"]) == {lane}
    [a] = session.step(9).deliveries
    settle(session, a)
    assert (room["turns:k:c"], set(room["turns:r60000 k:r"])) == (None, {lane})
    found = room.broker.at_gate("b")
    assert found is not None
    assert (found.what, found.key) == ("r", "k:r")
    room.client.delete(room.prefix + "starts:r60000 k:r")
    room.client.zadd(room.prefix + "timers", {"r60000 k:r": 1})
    room.client.zadd(room.prefix + "scheduled", {"\n": 1})
    room.broker.promote()
    assert fetch_all(session) == ["b"]
    assert_nothing_is_left(room)


def test_no_slot_is_held_by_what_waits_elsewhere(room: Room) -> None:
    send(room, *"ab", gates="c2 k:c\nr1/60000 k:r")
    send(room, "c", gates="c2 k:c")
    assert set(room["ready"]) == {"a", "c"}
    assert room["slots:k:c"] == {"a", "c"}


def test_what_comes_later_with_a_higher_limit_waits_behind_a_lane_that_waits_there(room: Room) -> None:
    send(room, "a", gates="c1 k:c")
    send(room, "b", gates="c1 k:c\nf k:x")
    send(room, "c", gates="c9 k:c")
    assert (set(room["ready"]), set(room["turns:k:c"])) == ({"a"}, {"k:c\nfs100 k:x", "k:c"})
    session = worker(room)
    assert run_in_order(room, session) == ["a", "b", "c"]
    assert_nothing_is_left(room)


def test_turns_at_a_gate_of_what_runs_at_a_time(room: Room) -> None:
    send(room, *(f"a{n}" for n in range(6)), gates="c2 t:t\nf k:a")
    send(room, *(f"b{n}" for n in range(3)), gates="c2 t:t\nf k:b")
    session, ran = worker(room), []
    hand = []
    while len(ran) < 9:
        for delivery in session.step(9).deliveries:
            ran.append(delivery.id)
            hand.append(delivery)
        assert len(hand) <= 2
        if len(hand) == 2 or len(ran) == 9:
            settle(session, hand.pop(0))
    for each in hand:
        settle(session, each)
    assert [ran.index(f"b{n}") for n in range(3)] < [4, 7, 9]
    assert max(ran.index(f"b{n}") - 2 * n for n in range(3)) <= 3
    assert_nothing_is_left(room)


def test_very_many_lanes_are_not_moved_from_gate_to_gate(room: Room) -> None:
    """One gate is open and another is shut for all of them."""
    for start in range(0, 3000, 1000):
        ids = [f"t{n}" for n in range(start, start + 1000)]
        room.broker.enqueue([Encoded(task_id, "", "", rated(task_id, f"c9 t:t\nf k:{task_id}")) for task_id in ids])
    session = worker(room)
    for _ in range(3):
        hand = []
        while deliveries := session.step(9).deliveries:
            hand += deliveries
        assert len(hand) == 9
        done = [Settlement(each.id, each.number, "X", b"", 0, "") for each in hand]
        assert sum(commands(room, lambda done=done: session.settle(done)).values()) < 9 * 120  # type: ignore[misc]


def test_a_gate_that_is_open_is_not_forgotten_for_one_that_was_shut(room: Room) -> None:
    """Of many that wait at one gate few go to the next; the others follow though nothing happens at the first."""
    send(room, "last", gates="c30 t:t\nf k:last")
    [last] = worker(room, "v").step(1).deliveries
    for n in range(40):
        send(room, f"t{n}", gates=f"c30 t:t\nf k:{n}")
    session = worker(room)
    hand = []
    while deliveries := session.step(1).deliveries:
        hand += deliveries
    assert len(hand) == 29
    done = [Settlement(each.id, each.number, "X", b"", 0, "") for each in hand]
    session.settle(done)
    again = []
    while deliveries := session.step(1).deliveries:
        again += deliveries
    assert len(again) == 11
    assert last.id == "last"


# --- at random -----------------------------------------------------------------------------------------------------------


class GateWalk(Walk):
    """The same with all gates, and tasks that are unique: limits of what runs, and of what starts, whatever happens."""

    LIMITS: ClassVar = {"one": 1, "two": 2, "five": 5}
    RATES: ClassVar = {"slow": 2, "fast": 7}
    KINDS, PRIORITIES = (envelope.SYNC, envelope.SYNC, envelope.ASYNC), (0, 0, 5)
    PERIOD = 60_000

    def __init__(self, room: Room, seed: int) -> None:
        super().__init__(room, seed)
        self.started: Counter[str] = Counter()
        self.is_harmed_once = False

    def lines(self) -> str:
        pick = self.random.choice
        found = []
        if key := pick([*self.LIMITS, "", ""]):
            found.append(f"c{self.LIMITS[key]} k:{key}")
        if key := pick([*self.RATES, "", "", ""]):
            found.append(f"r{self.RATES[key]}/{self.PERIOD} k:{key}")
        if key := pick([*"xyzuvw", "", "", ""]):
            found.append(f"f k:{key}")
        return "\n".join(found)

    def send(self) -> None:
        tasks = []
        for _ in range(self.random.randint(1, self.SENT)):
            self.number += 1
            task_id, lines = f"t{self.number}", self.lines()
            kind = self.random.choice(self.KINDS)
            only = self.random.choice(["", "", "re t:p", "ie t:q", "pe t:p", "ps t:q", "rs t:p"])
            call, flags = envelope.call_header("7", gates=lines.encode(), unique=only.encode())
            header, priority = envelope.task_header("t", "q", {}), self.random.choice(self.PRIORITIES)
            data = envelope.Form(header, kind, priority, flags).encode(task_id.encode(), 0, call, b"payload")
            due, expires = self.random.choice(["", "", "", "+1"]), self.random.choice(["", "", "", "+3"])
            tasks.append(Encoded(task_id, due, expires, data))
        for each in tasks:
            with suppress(DuplicateTask):
                self.room.broker.enqueue([each])

    def step(self) -> None:
        self.count_starts(super().step)

    def settle_all(self) -> None:
        self.count_starts(super().settle_all)

    def count_starts(self, act: Callable[[], None]) -> None:
        before = {(each.id, each.number) for hand in self.hands.values() for each in hand}
        act()
        for hand in self.hands.values():
            for each in hand:
                if (each.id, each.number) not in before:
                    self.started.update(gate.key for gate in self.gates_of(each.id) if gate.what == "r")

    def gates_of(self, task_id: str) -> list[gates.Gate]:
        data = self.room.client.hget(self.room.prefix + "tasks", task_id)
        found = envelope.gates_in(data) if data else b""
        return gates.read(found) if found else []

    def key_of(self, task_id: str) -> str:
        return next((gate.key[2:] for gate in self.gates_of(task_id) if gate.what == "c"), "")

    def pause(self) -> None:
        key = self.random.choice(["one", "slow", "x"])
        if self.random.random() < 0.5:
            self.room.broker.pause_key(key)
        else:
            self.room.broker.resume_key(key)

    def time_passes(self) -> None:
        """All that has started counts no more."""
        for key in self.RATES:
            self.room.client.delete(f"{self.room.prefix}starts:r{self.PERIOD} k:{key}")
        for key in self.room["timers"] or ():
            self.room.client.zadd(self.room.prefix + "timers", {key: 1})
            self.room.client.zadd(self.room.prefix + "scheduled", {"\n": 1})
        self.started.clear()
        self.room.broker.promote()

    def harm(self) -> None:
        things = ["gated", "blocked", "lanes", "timers", "scheduled"]
        found = [key for key in self.room.contents() if key.startswith(("slots:", "lane:", "turns:"))]
        thing = self.random.choice([*things, *found])
        self.log.append(thing)
        self.is_harmed = True
        self.room.client.delete(self.room.prefix + thing)

    def check(self) -> None:
        for key, limit in self.RATES.items():
            assert self.started[f"k:{key}"] <= limit, (key, self.started, self.log[-20:])
        if self.is_harmed:
            return
        for thing in ("ready", "ready:async"):
            fair = Counter(
                place // 2**45
                for task_id, place in (self.room[thing] or {}).items()
                if any(
                    self.room.client.sismember(f"{self.room.prefix}slots:f{'sa'[thing != 'ready']}{p}", task_id)
                    for p in (100, 105)
                )
            )
            assert max(fair.values(), default=0) <= IN_TURN, (thing, fair, self.log[-20:])
        super().check()

    def check_kept_up(self) -> None:
        """No task stands nowhere; none waits while all its gates are open."""
        room = self.room
        for _ in range(3):
            room.broker.mend_lanes(500)
            while self.audit.portion():
                pass
        while room.client.zscore(room.prefix + "scheduled", "\n") is not None and room.broker.promote() == 0:
            pass
        for task_id in room["blocked"] or ():
            found = room.broker.at_gate(task_id)
            assert getattr(found, "what", ""), (task_id, found, self.log[-20:], room.contents())
        timers = room.client.zscore(room.prefix + "scheduled", "\n") is not None
        places = [
            room[thing] or ()
            for thing in ("ready", "ready:async", "suspects", "scheduled", "blocked", "parked:task:x", "parked:unique")
        ]
        standing = Counter(task_id for ids in places for task_id in ids if task_id != "\n")
        standing.update(task_id for name in self.workers for task_id in room.broker.held(name))
        assert set(standing) == set(room["tasks"] or ()), (timers, self.log[-20:])
        assert [task_id for task_id, times in standing.items() if times > 1] == []

    def finish(self) -> None:
        for key in self.room.broker.paused_keys():
            self.room.broker.resume_key(key)
        for name in list(self.workers):
            for delivery in self.hands[name]:
                self.end(name, delivery, "X")
            self.room.broker.reap(name, known_dead=True)
        self.workers.clear()
        for name, kind, width in (("s", "s", 0), ("a", "a", 0), ("x1", "x", ALONE)):
            self.workers[name], self.hands[name] = worker(self.room, name, kind, width), []
        deadline = time.monotonic() + 20
        while self.room["tasks"] is not None:
            assert time.monotonic() < deadline, self.room.contents()
            self.time_passes()
            self.keep_up()
            for name in self.workers:
                for delivery in self.workers[name].step(1).deliveries:
                    self.end(name, delivery, "X")


class CrowdWalk(GateWalk):
    """The same where most wait for a turn, and several are let in together."""

    LIMITS: ClassVar = {"two": 2, "many": 30}
    RATES: ClassVar = {"slow": 5, "fast": 60}
    KINDS, PRIORITIES = (*[envelope.SYNC] * 9, envelope.ASYNC), (*[0] * 9, 5)
    SENT, FETCHED = 20, 20

    def lines(self) -> str:
        pick = self.random.choice
        found = []
        if (key := pick(["two", *["many"] * 5, *[""] * 30])) and key:
            found.append(f"c{self.LIMITS[key]} k:{key}")
        if (key := pick(["slow", *["fast"] * 5, *[""] * 30])) and key:
            found.append(f"r{self.RATES[key]}/{self.PERIOD} k:{key}")
        return "\n".join([*found, f"f k:{pick('mnopqrstuvwxyz')}"])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_harmed", [False, True], ids=["", "harmed"])
@pytest.mark.parametrize("kind", [GateWalk, CrowdWalk])
def test_at_random_with_all_gates_never_too_many_and_none_forgotten(
    room: Room, kind: type[GateWalk], seed: int, is_harmed: bool
) -> None:
    walk = kind(room, seed)
    ways = [walk.send, walk.send, walk.join, walk.step, walk.step, walk.step, walk.settle, walk.settle, walk.settle_all, walk.die]
    ways += [walk.take_back, walk.recover, walk.revoke, walk.keep_up, walk.revive, walk.pause, walk.time_passes]
    for turn in range(250):
        way = walk.random.choice(ways)
        walk.log.append(way.__name__)
        way()
        walk.check()
        if turn % 25 == 24:
            walk.check_kept_up()
            if is_harmed and turn < 200:
                walk.harm()
    walk.finish()
    if is_harmed:  # of slots whose gate nobody knows, those are freed at which somebody comes to wait
        found = [key.removeprefix("slots:") for key in room.contents() if key.startswith("slots:")]
        room.client.sadd(room.prefix + "lanes", "none", *found)
    walk.audit.portion()
    assert_nothing_is_left(room)
    wait_until(lambda: room["scheduled"] is None)
    assert (room["ready"], room["suspects"], room["attempts"]) == (None, None, None)
