"""Lanes: of the tasks under one key at most so many are in ready or in a worker's hand, and none waits while there is room.

Of this kind: each way by which a task comes to where it may run (sent, due, retried, put back, unparked, revived, restored) and
each by which it goes (ended, failed, parked, revoked, expired, its worker dead, suspected); other limits, priorities, kinds; our
keys deleted, or holding something else. The last test walks through all of it at random.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hotqueue
from hotqueue.errors import ConfigError, HotQueueError
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.broker.session import ALONE, Session
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from tests.support.waiting import wait_until
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")
HELD = "held:"


def gated(task_id: str, key: str = "k", limit: int = 2, *, kind: int = envelope.SYNC, priority: int = 0) -> bytes:
    """Return an envelope of a task of which at most `limit` run at a time under `key`."""
    call, flags = envelope.call_header("7", gates=f"c{limit} k:{key}".encode())
    header = envelope.task_header("t", "q", {})
    return envelope.Form(header, kind, priority, flags).encode(task_id.encode(), 0, call, b"payload")


def plain(task_id: str) -> bytes:
    return envelope.Form(envelope.task_header("t", "q", {}), envelope.SYNC, 0).encode(task_id.encode(), 0, b"7", b"payload")


def send(room: Room, *ids: str, due: str = "", expires: str = "", **options: Any) -> None:
    room.broker.enqueue([Encoded(task_id, due, expires, gated(task_id, **options)) for task_id in ids])


def worker(room: Room, name: str = "w", kind: str = "s", width: int = 0) -> Session:
    session = Session(room.broker, name, kind)
    session.width = width
    session.register(60_000, {"host": "h"})
    return session


def settle(session: Session, delivery: Delivery, code: str = "X", ms: int = 0, extra: str = "") -> None:
    blob = b"record" if code in "SED" else b""
    session.settle(
        [Settlement(delivery.id, delivery.held_as or delivery.number, code, blob, ms or 60_000 * (code != "R"), extra)]
    )


def lanes(room: Room) -> tuple[set[str], set[str]]:
    """Return what has a slot, and what waits in its lane."""
    return room["slots:k:k"] or set(), set(room["lane:k:k"] or ())


def assert_nothing_is_left(room: Room) -> None:
    left = [
        key for key in room.contents() if key.split(":")[0] in ("gated", "blocked", "lanes", "lane", "slots", "turns", "timers")
    ]
    assert left == []


def names(deliveries: list[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


# --- ways in and out -----------------------------------------------------------------------------------------------------


def test_only_so_many_are_ready_and_the_others_follow_one_by_one(room: Room) -> None:
    send(room, *"abcde")
    assert (set(room["ready"]), *lanes(room)) == ({"a", "b"}, {"a", "b"}, {"c", "d", "e"})
    assert (room["blocked"], room["lanes"]) == ({"c", "d", "e"}, {"k:k"})
    session = worker(room)
    a, b = session.step(9).deliveries
    assert session.step(9).deliveries == []
    settle(session, b)
    assert (set(room["ready"]), *lanes(room)) == ({"c"}, {"a", "c"}, {"d", "e"})
    stepped = session.step(9, [Settlement(a.id, a.number, "X", b"", 0, "")])
    assert names(stepped.deliveries) == ["c", "d"]
    for delivery in stepped.deliveries:
        settle(session, delivery)
    [e] = session.step(9).deliveries
    settle(session, e, "S")
    assert_nothing_is_left(room)
    assert room["tasks"] is None


def test_tasks_of_other_keys_and_those_without_pass_by(room: Room) -> None:
    send(room, *(f"hot{n}" for n in range(20)))
    send(room, "other", key="other")
    room.broker.enqueue([Encoded("plain", "", "", plain("plain"))])
    assert set(room["ready"]) == {"hot0", "hot1", "other", "plain"}


def test_in_a_lane_the_priority_counts_and_each_keeps_its_place(room: Room) -> None:
    send(room, "a", limit=1)
    send(room, "b", limit=1)
    send(room, "c", limit=1, priority=5)
    session, order = worker(room), []
    for _ in range(3):
        [delivery] = session.step(9).deliveries
        order.append(delivery.id)
        settle(session, delivery)
    assert order == ["a", "c", "b"]


def test_the_first_waits_for_its_own_limit_and_those_behind_it_for_it(room: Room) -> None:
    """Two tasks with the same key and other limits; or one whose limit was lowered while three run."""
    send(room, *"abc", limit=3)
    send(room, "d", limit=1)
    send(room, "e", limit=3)
    session = worker(room)
    deliveries = session.step(9).deliveries
    for delivery, ready in zip(deliveries, [set(), set(), {"d", "e"}], strict=True):
        settle(session, delivery)
        assert set(room["ready"] or ()) == ready


def test_a_limit_that_was_raised_counts_for_what_is_sent_since(room: Room) -> None:
    send(room, *"ab", limit=1)
    send(room, *"cd", limit=4)
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a)  # b waited for its own limit: now the others may run beside it
    assert names(session.step(9).deliveries) == ["b", "c", "d"]


def test_sync_and_async_tasks_share_a_key(room: Room) -> None:
    send(room, "a", limit=1)
    send(room, "b", limit=1, kind=envelope.ASYNC)
    session, other = worker(room), worker(room, "v", "a")
    [a] = session.step(9).deliveries
    room.client.delete(room.prefix + "bell:async")
    settle(session, a)
    assert (room["bell:async"], set(room["ready:async"])) == (["1"], {"b"})
    assert names(other.step(9).deliveries) == ["b"]


def test_a_retry_gives_its_slot_away_and_goes_to_the_end_of_the_lane(room: Room) -> None:
    send(room, *"abc", limit=1)
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a, "R", 0, "1 0 - - -")
    assert (lanes(room)[0], list(room["lane:k:k"])) == ({"b"}, ["c", "a"])
    [b] = session.step(9).deliveries
    session.settle([Settlement(b.id, b.number, "R", b"", 1, "1 0 - - -")])
    assert (lanes(room), set(room["scheduled"])) == (({"c"}, {"a"}), {"b"})
    wait_until(lambda: room.broker.promote() == -1)
    assert list(room["lane:k:k"]) == ["a", "b"]


def test_one_that_is_due_later_takes_no_slot_before(room: Room) -> None:
    send(room, "a", due="+1", limit=1)
    assert_nothing_is_left(room)
    wait_until(lambda: room.broker.promote() == -1)
    assert lanes(room) == ({"a"}, set())


def test_what_is_put_back_or_taken_back_keeps_its_slot_and_its_place(room: Room) -> None:
    send(room, *"abc")
    places = room["ready"]
    session = worker(room)
    a, _ = session.step(9).deliveries
    settle(session, a, "P")
    assert room.broker.take_back("w", 1, 1) == 1
    assert (room["ready"], *lanes(room)) == (places, {"a", "b"}, {"c"})


def test_what_is_parked_gives_its_slot_away_and_comes_to_its_lane_again(room: Room) -> None:
    send(room, *"ab", limit=1)
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a, "K", extra="task:x")
    assert (set(room["ready"]), lanes(room)) == ({"b"}, ({"b"}, set()))
    room.broker.unpark("task:x", "s", 9)
    assert (set(room["ready"]), lanes(room)) == ({"b"}, ({"b"}, {"a"}))


def test_one_whose_outcome_comes_apart_has_its_slot_until_then(room: Room) -> None:
    send(room, *"ab", limit=1)
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a, "L")
    assert lanes(room) == ({"a"}, {"b"})
    session.settle([Settlement("a", "*", "S", b"record", 60_000, "")])
    assert lanes(room) == ({"b"}, set())


def test_a_death_gives_back_what_was_fetched_and_the_slot_of_a_suspect(room: Room) -> None:
    send(room, *"abc")
    session = worker(room)
    session.step(9)
    charge = Charge('{"kind":"lost"}', ["a"])
    assert room.broker.reap("w", known_dead=True, charge=charge) == ["a"]
    assert (set(room["suspects"]), set(room["ready"]), *lanes(room)) == ({"a"}, {"b", "c"}, {"b", "c"}, set())


def test_a_suspect_waits_in_its_lane_and_comes_back_as_a_suspect(room: Room) -> None:
    send(room, *"abc", limit=1)
    session, quarantine = worker(room), worker(room, "x", "x", ALONE)
    session.step(9)
    room.broker.reap("w", known_dead=True, charge=Charge('{"kind":"lost"}', ["a"]))
    stepped = quarantine.step(1)
    assert (stepped.deliveries, stepped.left) == ([], 1)
    assert (room["suspects"], *lanes(room)) == (None, {"b"}, {"a", "c"})
    session = worker(room, "w2")
    [b] = session.step(9).deliveries
    settle(session, b)
    assert (set(room["suspects"]), *lanes(room)) == ({"a"}, {"a"}, {"c"})
    [a] = quarantine.step(1).deliveries
    settle(quarantine, a, "D", extra="{}")
    assert lanes(room) == ({"c"}, set())
    assert room.broker.revive(["a"]) == ["a"]
    assert lanes(room) == ({"c"}, {"a"})


def test_what_is_ready_and_is_revoked_gives_its_slot_away(room: Room) -> None:
    send(room, *"abc", limit=1)
    assert room.broker.revoke("a", b"record", 1000) == "revoked"
    assert lanes(room) == ({"b"}, {"c"})
    assert room.broker.revoke("c", b"record", 1000) == "revoked"
    assert room.broker.revoke("b", b"record", 1000) == "revoked"
    assert_nothing_is_left(room)


def test_what_expires_in_its_lane_or_before_it_runs_gives_way(room: Room) -> None:
    send(room, *"ab", limit=1, expires="+1")
    send(room, "c", limit=1)
    wait_until(lambda: len(room.broker.expire_all()) == 2 or room["expiring"] is None)
    assert lanes(room) == ({"c"}, set())


def test_it_is_looked_at_counted_and_explained_where_it_waits(room: Room) -> None:
    send(room, *"abcd")
    looked = room.broker.look("d")
    assert (looked.where, looked.detail) == ("lane", 1)
    counts = room.broker.counts()
    assert (counts["ready"], counts["blocked"], counts["waiting"]) == (2, 2, 4)
    result = room.queue.result("d")
    assert (result.state, room.queue.pending(), room.queue.running()) == ("PENDING", 4, 0)
    with pytest.raises(
        HotQueueError, match=r"max_concurrency=2 of key 'k' is used up, by [ab], [ab]; 1 task is ahead of it there"
    ):
        result.get(timeout=0.05)
    room.client.delete(*room.client.scan_iter(match="*:slots:*"))
    with pytest.raises(HotQueueError, match=r"the gates at which it waits are open; ask once more"):
        result.get(timeout=0.05)


def test_an_older_fetch_could_have_put_too_many_there(room: Room) -> None:
    """Whatever stands in ready: it starts only with a slot."""
    send(room, *"abcd")
    room.fill({"ready": {"c": 1, "d": 2}})
    assert names(worker(room).step(9).deliveries) == ["a", "b"]
    assert lanes(room) == ({"a", "b"}, {"c", "d"})


def test_what_has_gates_that_are_not_known_stays_in_its_lane(room: Room) -> None:
    """As an older worker finds it that settles what it held before the queue was upgraded."""
    send(room, *"abc", limit=1)
    session = worker(room)
    [a] = session.step(9).deliveries
    room.client.hset(room.prefix + "gated", "b", "sz9 of next year")
    settle(session, a)
    assert lanes(room) == (set(), {"b", "c"})


def test_a_task_whose_need_cannot_be_noted_is_not_parked_and_held_at_once(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    room.client.set(room.prefix + "needs", "not ours")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        settle(session, a, "K", extra="task:x")
    assert (room["parked:task:x"], set(room["held:w"])) == (None, {"a"})


@pytest.mark.parametrize("limit", [1, 10**400])
def test_what_is_retried_at_once_keeps_its_gates_as_they_were_sent(room: Room, limit: int) -> None:
    send(room, "a", limit=limit)
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a, "R", extra="1 0 - - -")
    assert room["gated"] == {"a": f"sc{limit} k:k"}
    assert run_all(room, session) == ["a"]
    assert_nothing_is_left(room)


def test_what_has_gates_that_are_not_known_can_be_retried(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    room.client.hset(room.prefix + "gated", "a", "sz9 of next year")
    settle(session, a, "R", extra="1 0 - - -")
    assert (set(room["ready"]), room["held:w"]) == ({"a"}, None)


# --- what others do at our keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", ["gated", "blocked", "lanes", "slots:k:k", "lane:k:k"])
def test_a_key_that_was_deleted_is_made_good(room: Room, thing: str) -> None:
    send(room, *"abcde")
    room.client.delete(room.prefix + thing)
    session, ran, audit = worker(room), set(), Audit(room.broker)
    for _ in range(12):
        for delivery in session.step(9).deliveries:
            ran.add(delivery.id)
            settle(session, delivery)
        audit.portion()
    assert ran == set("abcde")
    assert_nothing_is_left(room)


def test_a_slot_of_a_task_that_is_gone_is_freed(room: Room) -> None:
    send(room, *"abcde")
    room.client.hdel(room.prefix + "tasks", "a", "b")
    room.client.zrem(room.prefix + "ready", "a", "b")
    Audit(room.broker).portion()
    assert lanes(room) == ({"c", "d"}, {"e"})


class Aside:
    """While it is open, somebody else's value stands at one of our keys."""

    def __init__(self, room: Room, thing: str) -> None:
        self.room, self.key = room, room.prefix + thing
        self.was_there = bool(room.client.exists(self.key))

    def __enter__(self) -> None:
        if self.was_there:
            self.room.client.rename(self.key, self.room.prefix + "aside")
        self.room.client.set(self.key, "not ours")

    def __exit__(self, *_: object) -> None:
        self.room.client.delete(self.key)
        if self.was_there:
            self.room.client.rename(self.room.prefix + "aside", self.key)


OURS = ["gated", "blocked", "lanes", "slots:k:k", "lane:k:k"]


def run_all(room: Room, session: Session) -> list[str]:
    """Have a worker do everything, with upkeep between; return what it ran."""
    ran, audit = [], Audit(room.broker)
    for _ in range(12):
        room.broker.promote()
        for delivery in session.step(9).deliveries:
            ran.append(delivery.id)
            settle(session, delivery)
        audit.portion()
    return ran


@pytest.mark.parametrize("thing", OURS)
def test_what_a_worker_has_done_is_settled_whatever_stands_at_the_keys_of_its_lane(room: Room, thing: str) -> None:
    send(room, *"abcd")
    session = worker(room)
    a, b = session.step(9).deliveries
    with Aside(room, thing):
        settle(session, a, "S")
        settle(session, b, "R", extra="1 0 - - -")
        assert room["result:a"] == "record"
    assert sorted(run_all(room, session)) == ["b", "c", "d"]
    assert_nothing_is_left(room)


@pytest.mark.parametrize("code", "XD")
def test_what_could_not_end_keeps_its_slot(room: Room, code: str) -> None:
    send(room, *"ab", limit=1)
    session = worker(room)
    [a] = session.step(9).deliveries
    harmed = [Aside(room, f"done:{third}") for third in range(3)]
    for each in harmed:
        each.__enter__()
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        settle(session, a, code, ms=1, extra="{}" * (code == "D"))
    for each in harmed:
        each.__exit__()
    assert lanes(room) == ({"a"}, {"b"})
    settle(session, a, code, extra="{}" * (code == "D"))
    assert run_all(room, session) == ["b"]
    assert_nothing_is_left(room)


@pytest.mark.parametrize("thing", [*OURS, "attempts", "owned"])
def test_a_fetch_that_meets_a_key_of_the_wrong_type_loses_nothing_and_others_do_not_wait(room: Room, thing: str) -> None:
    send(room, *"abc")
    room.broker.enqueue([Encoded("plain", "", "", plain("plain"))])
    session = worker(room)
    with Aside(room, thing):
        if thing in OURS:
            assert "plain" in [delivery.id for delivery in session.step(9).deliveries]
        else:
            with pytest.raises(ConfigError, match="WRONGTYPE"):
                session.step(9)
            assert set(room["ready"]) == {"a", "b", "plain"}
    ran = [delivery.id for delivery in session.recover([]) or () if settle(session, delivery) is None]
    assert sorted(ran + run_all(room, session)) == ["a", "b", "c", "plain"]
    assert_nothing_is_left(room)


@pytest.mark.parametrize("thing", ["slots:k:k", "lane:k:k", "ready"])
def test_a_task_that_cannot_come_to_its_lane_is_refused_and_not_stored(room: Room, thing: str) -> None:
    send(room, *"ab")
    with Aside(room, thing):
        with pytest.raises(ConfigError, match="WRONGTYPE"):
            send(room, "d", key="k" if "k" in thing else "other")
        assert "d" not in room["tasks"]
    send(room, "d")
    assert "d" in run_all(room, worker(room))
    assert_nothing_is_left(room)


@pytest.mark.parametrize("thing", ["slots:k:k", "lane:k:k"])
def test_what_comes_back_while_its_lane_is_not_ours_is_restored_later_and_others_at_once(room: Room, thing: str) -> None:
    """Due, unparked, revived, of a dead worker; upkeep says what is wrong, once it has done the rest."""
    send(room, *"abcd", limit=4)
    send(room, "due", due="+1", limit=4)
    room.broker.enqueue([Encoded("plain", "+1", "", plain("plain"))])
    session, dying = worker(room), worker(room, "v")
    a, b = session.step(2).deliveries
    assert len(dying.step(2).deliveries) == 2
    settle(session, a, "K", extra="task:x")
    settle(session, b, "D", extra="{}")
    wait_until(lambda: room.broker.sweep(0, []).due == 0)
    with Aside(room, thing):
        room.broker.promote()
        room.broker.unpark("task:x", "s", 5)
        room.broker.revive(["b"])
        room.broker.reap("v", known_dead=True, charge=Charge("{}", None))
        room.client.hset(room.prefix + "tasks", "stray", plain("stray"))
        with pytest.raises(ConfigError, match="WRONGTYPE"):
            Audit(room.broker).portion()
        assert {"plain", "stray"} <= set(room["ready"])
    quarantine = worker(room, "x", width=ALONE)
    ran = run_all(room, session)
    while deliveries := quarantine.step(1).deliveries:
        ran += names(deliveries)
        settle(quarantine, deliveries[0])
    assert sorted(ran) == ["a", "b", "c", "d", "due", "plain", "stray"]
    Audit(room.broker).portion()
    assert_nothing_is_left(room)


def test_a_full_server_keeps_no_lane_from_being_put_in_order(room: Room) -> None:
    send(room, *"abc", limit=1)
    room.client.sadd(room.prefix + "slots:k:k", "gone")
    room.broker.revoke("a", b"record", 1000)
    room.client.config_set("maxmemory", 1)
    try:
        Audit(room.broker).portion()
    finally:
        room.client.config_set("maxmemory", 0)
    assert lanes(room) == ({"b"}, {"c"})


SCRIPTS = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"


def test_every_script_that_moves_tasks_asks_for_their_gates() -> None:
    """Whoever gives a task a new place, lets go of one, or ends one; `recover` has them held again, and tasks with gates are
    enqueued by `enqueue`."""
    moves = re.compile(r"new_place\(|let_go_all\(|let_go_unstarted\(|let_go\(HELD|end_waiting\(|'ZREM', parked")
    moving = {path.stem for path in SCRIPTS.glob("*.lua") if moves.search(path.read_text())}
    assert moving == {
        "audit",
        "expire",
        "hear",
        "promote",
        "reap",
        "revive",
        "revoke",
        "revoke_some",
        "revoke_steps",
        "step",
        "take_back",
        "unpark",
    }
    assert [name for name in sorted(moving) if "gates(" not in (SCRIPTS / f"{name}.lua").read_text()] == []


# --- what they cost ------------------------------------------------------------------------------------------------------


def commands(room: Room, act: Callable[[], object]) -> Counter[str]:
    room.client.config_resetstat()
    act()
    stats: dict[str, dict[str, int]] = room.client.info("commandstats")
    found = Counter({name.removeprefix("cmdstat_"): int(each["calls"]) for name, each in stats.items()})
    for own in ("config|resetstat", "config", "info"):
        found.pop(own, None)
    return found


def test_a_hot_lane_costs_others_nothing(room: Room) -> None:
    """The commands that tasks without gates take are the same, however many wait in a lane."""
    session = worker(room)

    def pass_through(task_id: str) -> None:
        room.client.delete(room.prefix + "bell")
        room.broker.enqueue([Encoded(task_id, "", "", plain(task_id))])
        [delivery] = session.step(1).deliveries
        settle(session, delivery)

    for task_id in ("first", "second"):
        pass_through(task_id)
    before = commands(room, lambda: pass_through("a"))
    for start in range(0, 5000, 1000):
        send(room, *(f"hot{n}" for n in range(start, start + 1000)))
    for name in ("hot0", "hot1"):
        room.broker.revoke(name, b"record", 1000)
    [*hot] = session.step(2).deliveries
    assert (names(hot), room["ready"]) == (["hot2", "hot3"], None)
    assert commands(room, lambda: pass_through("b")) == before


def test_ten_thousand_keys_with_one_task_each_leave_nothing(room: Room) -> None:
    for start in range(0, 10_000, 1000):
        ids = [f"t{n}" for n in range(start, start + 1000)]
        room.broker.enqueue([Encoded(task_id, "", "", gated(task_id, key=task_id)) for task_id in ids])
    session = worker(room)
    while deliveries := session.step(1000).deliveries:
        session.settle([Settlement(each.id, each.held_as or each.number, "X", b"", 0, "") for each in deliveries])
    assert room["tasks"] is None
    assert_nothing_is_left(room)


def test_a_look_at_wide_lanes_is_bounded(room: Room) -> None:
    for key in range(10):
        send(room, *(f"{key}-{n}" for n in range(1000)), key=str(key), limit=1000)
    found = commands(room, room.broker.mend_lanes)
    assert sum(found.values()) < 10 * 600  # a tenth of what they hold


# --- at random -----------------------------------------------------------------------------------------------------------


class Walk:
    """Does to a queue what clients, workers, supervisors and faults do, in any order."""

    LIMITS: ClassVar = {"one": 1, "two": 2, "five": 5}
    SENT, FETCHED = 4, 5  # at most together

    def __init__(self, room: Room, seed: int) -> None:
        self.room, self.random = room, random.Random(seed)
        self.number = 0
        self.workers: dict[str, Session] = {}
        self.hands: dict[str, list[Delivery]] = {}
        self.audit = Audit(room.broker)
        self.log: list[str] = []
        self.is_harmed = False

    def send(self) -> None:
        tasks = []
        for _ in range(self.random.randint(1, self.SENT)):
            self.number += 1
            task_id, key = f"t{self.number}", self.random.choice([*self.LIMITS, ""])
            kind = self.random.choice([envelope.SYNC, envelope.SYNC, envelope.ASYNC])
            data = plain(task_id)
            if key:
                data = gated(task_id, key, self.LIMITS[key], kind=kind, priority=self.random.choice([0, 0, 5]))
            due, expires = self.random.choice(["", "", "", "+1"]), self.random.choice(["", "", "", "+3"])
            tasks.append(Encoded(task_id, due, expires, data))
        self.room.broker.enqueue(tasks)

    def join(self) -> None:
        if len(self.workers) < 4:
            self.number += 1
            kind = self.random.choice("ssax")
            name = f"{kind}{self.number}"
            self.workers[name] = worker(self.room, name, kind, self.random.choice([ALONE, 2]) if kind == "x" else 0)
            self.hands[name] = []

    def step(self) -> None:
        if self.workers:
            name = self.random.choice(list(self.workers))
            room = 1 if name[0] == "x" else self.random.randint(1, self.FETCHED)
            self.hands[name] += self.workers[name].step(room).deliveries

    def settle(self) -> None:
        busy = [name for name, hand in self.hands.items() if hand]
        if busy:
            name = self.random.choice(busy)
            delivery = self.hands[name].pop(self.random.randrange(len(self.hands[name])))
            self.end(name, delivery, self.random.choice("SSSXDERRPKL"))

    def settle_all(self) -> None:
        """All that a worker has in hand, some for their next attempt, and fetch with that."""
        busy = [name for name, hand in self.hands.items() if hand and name[0] != "x"]
        if busy:
            name = self.random.choice(busy)
            done = []
            for each in self.hands[name]:
                code = self.random.choice("SSSXR")
                extra = "1 0 - - -" if code == "R" else ""
                done.append(
                    Settlement(each.id, each.number, code, b"record" if code == "S" else b"", 0 if code == "R" else 60_000, extra)
                )
            self.hands[name] = self.workers[name].step(self.random.randint(1, self.FETCHED), done).deliveries

    def end(self, name: str, delivery: Delivery, code: str) -> None:
        session = self.workers[name]
        if code == "R":
            session.settle([Settlement(delivery.id, delivery.number, "R", b"", self.random.choice([0, 1]), "1 0 - - -")])
        elif code == "L":
            settle(session, delivery, "L")
            session.settle([Settlement(delivery.id, "*", "S", b"record", 60_000, "")])
        else:
            settle(session, delivery, code, extra={"K": "task:x", "D": "{}"}.get(code, ""))

    def die(self) -> None:
        if self.workers:
            name = self.random.choice(list(self.workers))
            ids = [delivery.id for delivery in self.hands.pop(name)]
            del self.workers[name]
            verdict, ran = self.random.choice(["-", "L", "T"]), self.random.choice([1, 3])
            charge = Charge('{"kind":"lost"}', ids[: self.random.randint(0, ran)], verdict, ran)
            self.room.broker.reap(name, known_dead=True, charge=charge)

    def take_back(self) -> None:
        if self.workers:
            name = self.random.choice(list(self.workers))
            session, count = self.workers[name], self.random.randint(1, 2)
            of_last = [each for each in self.hands[name] if each.number == session.number]
            if len(of_last) > count and self.room.broker.take_back(name, session.number, count) == count:
                held = self.room.broker.held(name)
                self.hands[name] = [each for each in self.hands[name] if each.id in held]

    def recover(self) -> None:
        if self.workers:
            name = self.random.choice(list(self.workers))
            kept = self.hands[name][:1]
            found = self.workers[name].recover([each.id for each in kept])
            self.hands[name] = [*kept, *(found or [])]

    def revoke(self) -> None:
        task_id = f"t{self.random.randint(1, max(1, self.number))}"
        self.room.broker.revoke(task_id, b"record", 1000, self.random.choice(["-", "task:x"]))

    def keep_up(self) -> None:
        self.room.broker.promote()
        self.room.broker.expire_all()
        self.audit.portion()
        self.room.broker.unpark("task:x", "s", 5)

    def revive(self) -> None:
        self.room.broker.revive(self.room.broker.dead_ids(2))

    def harm(self) -> None:
        things = ["gated", "blocked", "lanes", *(f"{family}:k:{key}" for family in ("slots", "lane") for key in self.LIMITS)]
        thing = self.random.choice(things)
        self.log.append(thing)
        self.is_harmed = True
        self.room.client.delete(self.room.prefix + thing)

    def key_of(self, task_id: str) -> str:
        data = self.room.client.hget(self.room.prefix + "tasks", task_id)
        return envelope.decode(data).gates.decode().partition("k:")[2] if data else ""

    def check(self) -> None:
        if self.is_harmed:  # whose slots are deleted, those that run are not known any more
            return
        started = Counter(self.key_of(task_id) for name in self.workers for task_id in self.room.broker.held(name))
        admitted = Counter(self.key_of(task_id) for thing in ("ready", "ready:async") for task_id in self.room[thing] or ())
        for key, limit in self.LIMITS.items():
            assert started[key] + admitted[key] <= limit, (key, started, admitted, self.log[-20:])

    def check_kept_up(self) -> None:
        """No task stands nowhere, none waits while there is room."""
        room = self.room
        for _ in range(3):  # what the first makes stand nowhere, the second finds
            room.broker.mend_lanes(100)
            while self.audit.portion():
                pass
        for key, limit in self.LIMITS.items():
            slots, waiting = room[f"slots:k:{key}"] or set(), room[f"lane:k:{key}"] or {}
            assert len(slots) >= limit or not waiting, (key, slots, waiting, self.log[-20:])
        places = [room[thing] or () for thing in ("ready", "ready:async", "suspects", "scheduled", "blocked", "parked:task:x")]
        standing = Counter(task_id for ids in places for task_id in ids)
        standing.update(task_id for name in self.workers for task_id in room.broker.held(name))
        assert set(standing) == set(room["tasks"] or ()), self.log[-20:]
        assert [task_id for task_id, times in standing.items() if times > 1] == []

    def finish(self) -> None:
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
            self.keep_up()
            for name in self.workers:
                for delivery in self.workers[name].step(1).deliveries:
                    self.end(name, delivery, "X")
                self.check()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_harmed", [False, True], ids=["", "harmed"])
def test_at_random_never_too_many_and_none_forgotten(room: Room, seed: int, is_harmed: bool) -> None:
    walk = Walk(room, seed)
    ways = [walk.send, walk.send, walk.join, walk.step, walk.step, walk.step, walk.settle, walk.settle, walk.settle_all, walk.die]
    ways += [walk.take_back, walk.recover, walk.revoke, walk.keep_up, walk.revive]
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
    assert_nothing_is_left(room)
    assert (room["ready"], room["suspects"], room["attempts"]) == (None, None, None)
