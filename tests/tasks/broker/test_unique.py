"""Unique tasks: of one key no two are there but one that runs and one behind it; a key that nobody has is free.

Of this kind: each way by which a task comes (sent, alone or with others, due, revived, restored, from an outbox) and each by
which it goes (ended in each way, failed, revoked, expired, replaced), and what happens in between (retried, parked, put back,
its worker dead, suspected); our keys deleted, or holding something else. The last test walks through all of it at random.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.errors import ConfigError, DuplicateTask, HotQueueError
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.broker.posting import Posted
from hotqueue.tasks.broker.session import ALONE, Session
from hotqueue.tasks.rules import unique
from hotqueue.tasks.wire import envelope, record
from hotqueue.tasks.wire.outgoing import Outgoing
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from tests.support.waiting import wait_until
from tests.tasks.broker.test_lanes import names, plain, settle, worker
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")
KEYS = ("unique", "parked:unique", "needs", "attempts", "expiring", "lane", "slots", "gated")


def only(
    task_id: str, key: str = "k", how: str = "re", *, kind: int = envelope.SYNC, priority: int = 0, gates: bytes = b""
) -> bytes:
    """Return an envelope of a task that is the only one under `key`; `how` as it travels."""
    call, flags = envelope.call_header("7", gates=gates, unique=f"{how} t:{key}".encode())
    return envelope.Form(envelope.task_header("t", "q", {}), kind, priority, flags).encode(task_id.encode(), 0, call, b"payload")


def send(room: Room, *ids: str, due: str = "", expires: str = "", **options: Any) -> list[str]:
    return room.broker.enqueue_unique([Encoded(task_id, due, expires, only(task_id, **options)) for task_id in ids])


def is_free(room: Room, key: str = "k") -> bool:
    """Tell whether a task may come under a key; one that came is revoked again."""
    try:
        send(room, "probe", key=key)
    except DuplicateTask:
        return False
    room.broker.revoke("probe", b"", 0)
    room.client.delete(*(f"{room.prefix}done:{third}" for third in range(3)))  # it may come again
    return True


def state(room: Room, task_id: str) -> str:
    data = room.broker.record(task_id)
    return "" if data is None else record.decode(data, task_id).state.value


def assert_nothing_is_left(room: Room) -> None:
    assert [key for key in room.contents() if key.startswith(KEYS)] == []


# --- the second one ------------------------------------------------------------------------------------------------------


def test_a_second_one_is_refused_and_told_which_is_there(room: Room) -> None:
    assert send(room, "a") == ["a"]
    before = room.contents()
    with pytest.raises(
        DuplicateTask, match="task t with the unique key 'k' is there already: it is task a; nothing of"
    ) as caught:
        send(room, "b")
    assert (caught.value.task_id, caught.value.ids) == ("a", {"b": "a"})
    after = room.contents()
    assert (after.pop("seq"), before.pop("seq")) == ("1", "1")
    assert after == before
    assert send(room, "c", key="other") == ["c"]


def test_the_same_id_is_the_same_task(room: Room) -> None:
    send(room, "a")
    assert room.broker.enqueue([Encoded("a", "", "", only("a"))]) == [False]
    assert send(room, "a") == ["a"]


def test_one_that_is_ignored_is_the_first(room: Room) -> None:
    send(room, "a")
    assert send(room, "b", how="ie") == ["a"]
    assert room.broker.enqueue([Encoded("b", "", "", only("b", how="ie"))]) == ["a"]
    assert set(room["tasks"]) == {"a"}


def test_of_what_is_sent_together_all_is_refused_or_the_others_go(room: Room) -> None:
    send(room, "a", key="one")
    trip = [("b", "two"), ("c", "one"), ("d", "two"), ("e", "three")]
    with pytest.raises(DuplicateTask, match="'one' is there already: it is task a, and so is 1 more") as caught:
        room.broker.enqueue([Encoded(task_id, "", "", only(task_id, key)) for task_id, key in trip])
    assert caught.value.ids == {"c": "a", "d": ""}
    assert set(room["tasks"]) == {"a"}
    ignoring = [Encoded(task_id, "", "", only(task_id, key, "ie")) for task_id, key in trip]
    plain_one = Encoded("p", "", "", plain("p"))
    assert room.broker.enqueue_unique([*ignoring, plain_one]) == ["b", "a", "b", "e", "p"]
    assert set(room["tasks"]) == set(room["ready"]) == {"a", "b", "e", "p"}
    assert sum(room["enqueued"].values()) == 4


def test_one_that_comes_twice_in_what_is_sent_together_names_no_task(room: Room) -> None:
    with pytest.raises(DuplicateTask, match="'k' comes twice in what was sent together; nothing") as caught:
        send(room, "a", "b")
    assert (caught.value.task_id, room["tasks"]) == ("", None)


def test_it_is_the_only_one_while_it_is_scheduled_too(room: Room) -> None:
    send(room, "a", due="+1")
    assert not is_free(room)
    wait_until(lambda: room.broker.promote() == -1)
    assert not is_free(room)


# --- ways out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["S", "X", "E", "D", "L"])
@pytest.mark.parametrize("kind", ["s", "a"])
@pytest.mark.parametrize("gates", [b"", b"c1 k:lane"], ids=["", "gated"])
def test_an_end_frees_the_key(room: Room, code: str, kind: str, gates: bytes) -> None:
    send(room, "a", kind=ord(kind), gates=gates)
    session = worker(room, kind=kind)
    [delivery] = session.step(9).deliveries
    assert not is_free(room)
    settle(session, delivery, code, extra="{}" if code == "D" else "")
    if code == "L":
        assert not is_free(room)
        session.settle([Settlement("a", "*", "S", b"record", 60_000, "")])
    assert room["unique"] is None
    assert is_free(room)
    assert_nothing_is_left(room)


def test_so_does_being_revoked_or_expired(room: Room) -> None:
    send(room, "a")
    room.broker.revoke("a", b"record", 1000)
    assert room["unique"] is None
    send(room, "b", expires="+1")
    wait_until(lambda: room.broker.expire_all() == ["b"])
    assert_nothing_is_left(room)


def test_what_does_not_end_keeps_it(room: Room) -> None:
    """Retried at once and later, parked, put back, taken back, its worker dead, a suspect."""
    send(room, "a")
    session = worker(room)
    for number, (code, ms, extra) in enumerate([("R", 0, "1 0 - - -"), ("R", 1, "1 0 - - -"), ("K", 0, "task:x"), ("P", 0, "")]):
        [delivery] = session.step(9).deliveries
        session.settle([Settlement("a", delivery.number, code, b"", ms, extra)])
        assert not is_free(room), number
        wait_until(lambda: room.broker.promote() == -1)
        room.broker.unpark("task:x", "s", 5)
    session.step(9)
    assert room.broker.take_back("w", session.number, 1) == 1
    session.step(9)
    room.broker.reap("w", known_dead=True, charge=Charge("{}", None))
    assert set(room["suspects"]) == {"a"}
    assert not is_free(room)
    quarantine = worker(room, "x", width=ALONE)
    [delivery] = quarantine.step(1).deliveries
    settle(quarantine, delivery)
    assert is_free(room)
    assert_nothing_is_left(room)


# --- the first one that is replaced --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["ready", "ready:async", "scheduled", "lane", "suspects", "parked"])
def test_one_that_waits_is_replaced(room: Room, where: str) -> None:
    session, options = worker(room), dict[str, Any]()
    if where == "lane":
        options = {"gates": b"c1 k:lane"}
        send(room, "first", key="first", **options)
    send(room, "a", due="+60000" if where == "scheduled" else "", kind=ord("a" if where == "ready:async" else "s"), **options)
    if where in ("suspects", "parked"):
        [delivery] = session.step(9).deliveries
        if where == "parked":
            settle(session, delivery, "K", extra="task:x")
        else:
            room.broker.reap("w", known_dead=True, charge=Charge("{}", None))
    assert send(room, "b", how="pe", **options) == ["b"]
    assert (state(room, "a"), "a" in room["tasks"]) == ("REVOKED", False)
    record_of_a = record.decode(room.broker.record("a") or b"", "a")
    assert b"task a was replaced by task b, which has the same unique key" in record_of_a.payload
    assert not is_free(room)
    session = worker(room, "v")
    assert names(session.step(9).deliveries) == (["first"] if where == "lane" else ["b"])
    assert room["parked:task:x"] is room["needs"] is room["suspects"] is room["attempts"] is None


def test_who_waits_for_one_that_is_replaced_is_told(room: Room) -> None:
    send(room, "a")
    room.broker.wait(["a"], "client")
    send(room, "b", how="pe")
    [reply] = room["reply:client"]
    assert reply.startswith("Ra\0U")


def test_behind_one_that_runs_one_waits_and_another_takes_its_place(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    assert send(room, "b", how="pe") == ["b"]
    looked = room.broker.look("b")
    assert (looked.where, looked.history.need, room.broker.unique_holder(looked.envelope)) == ("parked", "unique", "a")
    assert (room["ready"], list(room["parked:unique"]), room["needs"]) == (None, ["b"], None)
    assert room.broker.counts()["waiting"] == 1
    assert send(room, "c", how="pe") == ["c"]
    assert (state(room, "b"), list(room["parked:unique"])) == ("REVOKED", ["c"])
    assert send(room, "d", how="ie") == ["a"]
    assert session.step(9).deliveries == []
    [c] = session.step(9, [Settlement("a", a.number, "X", b"", 0, "")]).deliveries
    assert (c.id, room["attempts"], room["parked:unique"], is_free(room)) == ("c", None, None, False)
    settle(session, c)
    assert_nothing_is_left(room)


def test_it_waits_until_the_retries_of_the_first_are_over(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="pe")
    session.settle([Settlement("a", a.number, "R", b"", 0, "1 0 - - -")])
    [a] = session.step(9).deliveries
    assert a.id == "a"
    settle(session, a, "D", extra="{}")
    assert names(session.step(9).deliveries) == ["b"]


@pytest.mark.parametrize("gates", [b"", b"c1 k:lane"], ids=["", "gated"])
@pytest.mark.parametrize("kind", ["s", "a"])
def test_it_comes_to_where_it_may_run_and_somebody_is_woken(room: Room, kind: str, gates: bytes) -> None:
    send(room, "a", gates=gates)
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="pe", kind=ord(kind), gates=gates, priority=7)
    room.client.delete(room.prefix + "bell", room.prefix + "bell:async")
    settle(session, a)
    assert room["bell:async" if kind == "a" else "bell"] == ["1"]
    other = worker(room, "v", kind)
    assert names(other.step(9).deliveries) == ["b"]


def test_one_that_waits_behind_another_may_be_revoked_or_expire(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="pe")
    assert room.broker.revoke("b", b"record", 1000, "unique") == "revoked"
    assert (room["parked:unique"], room["unique"]) == (None, {"t:k": "0 a"})
    send(room, "c", how="pe", expires="+1")
    wait_until(lambda: room.broker.expire_all() == ["c"])
    settle(session, a)
    assert_nothing_is_left(room)


def test_one_that_is_due_later_waits_for_its_time_and_then_for_the_first(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="pe", due="+1")
    assert list(room["scheduled"]) == ["b"]
    wait_until(lambda: room.broker.promote() == -1)
    assert list(room["parked:unique"]) == ["b"]
    send(room, "c", how="pe", due="+30")
    assert state(room, "b") == "REVOKED"
    settle(session, a)
    assert list(room["scheduled"]) == ["c"]
    wait_until(lambda: room.broker.promote() == -1)
    assert names(session.step(9).deliveries) == ["c"]


def test_what_is_sent_together_replaces_one_after_the_other(room: Room) -> None:
    assert send(room, "a", "b", "c", how="pe") == ["a", "b", "c"]
    assert (set(room["tasks"]), state(room, "a"), state(room, "b")) == ({"c"}, "REVOKED", "REVOKED")
    session = worker(room)
    [c] = session.step(9).deliveries
    send(room, "d", "e", how="pe")
    assert (state(room, "d"), list(room["parked:unique"])) == ("REVOKED", ["e"])
    settle(session, c)
    [e] = session.step(9).deliveries
    settle(session, e)
    assert_nothing_is_left(room)


# --- until it started, and for so long at most ---------------------------------------------------------------------------


def test_until_it_started_a_worker_that_is_given_it_frees_the_key(room: Room) -> None:
    send(room, "a", how="rs")
    assert not is_free(room)
    session = worker(room)
    [a] = session.step(9).deliveries
    assert is_free(room)
    send(room, "b", how="rs")
    session.settle([Settlement("a", a.number, "R", b"", 0, "1 0 - - -")])  # it does not take it again
    b, a = session.step(9).deliveries
    assert (a.id, b.id) == ("a", "b")
    settle(session, a)
    settle(session, b)
    assert_nothing_is_left(room)


def test_what_waits_behind_one_goes_as_it_starts(room: Room) -> None:
    send(room, "a", how="re")
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="ps")
    settle(session, a)
    [b] = session.step(9).deliveries
    assert is_free(room)
    settle(session, b)
    assert_nothing_is_left(room)


def test_for_so_long_at_most_by_the_servers_time(room: Room) -> None:
    send(room, "a", how="re50")
    with pytest.raises(DuplicateTask):
        send(room, "b", how="re50")
    wait_until(lambda: is_free(room))
    assert send(room, "b", how="re60000") == ["b"]
    session = worker(room)
    a, b = session.step(9).deliveries
    settle(session, a)
    assert not is_free(room)  # it is not a's any more
    settle(session, b)
    assert_nothing_is_left(room)


def test_what_waits_behind_one_that_had_it_for_so_long_goes_on(room: Room) -> None:
    send(room, "a", how="re30")
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="pe")
    audit = Audit(room.broker)

    def goes_on() -> bool:
        audit.portion()
        return room["ready"] is not None

    wait_until(goes_on)
    [b] = session.step(9).deliveries
    settle(session, a)
    assert not is_free(room)
    settle(session, b)
    assert_nothing_is_left(room)


# --- the dead ------------------------------------------------------------------------------------------------------------


def bury(room: Room, *ids: str, **options: Any) -> None:
    session = worker(room, "undertaker")
    for task_id in ids:
        send(room, task_id, **options)
        [delivery] = session.step(9).deliveries
        settle(session, delivery, "D", extra="{}")


def test_a_dead_one_takes_it_again_or_stays(room: Room) -> None:
    bury(room, "a", "b")
    assert is_free(room)
    assert room.broker.revive_free(["a", "b"]) == (["a"], {"b": "a"})
    assert (set(room["dead"]), set(room["dead:tasks"]), not is_free(room)) == ({"b"}, {"b"}, True)
    session = worker(room)
    [a] = session.step(9).deliveries
    settle(session, a)
    assert room.broker.revive_free(["b"]) == (["b"], {})
    assert not is_free(room)
    [b] = session.step(9).deliveries
    settle(session, b)
    assert_nothing_is_left(room)


def test_a_key_of_the_wrong_type_keeps_unique_ones_dead_and_no_others(room: Room) -> None:
    bury(room, "a", "b")
    room.fill({"dead": {"p": 1, "q": 2}, "dead:tasks": {"p": b"{}\n" + plain("p"), "q": b"{}\n" + plain("q")}})
    room.client.set(room.prefix + "unique", "no hash")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        room.broker.revive(["p", "a", "q"])
    assert (set(room["tasks"]), set(room["dead"])) == ({"p", "q"}, {"a", "b"})
    room.client.delete(room.prefix + "unique")
    assert room.broker.revive_free(["a", "b"]) == (["a"], {"b": "a"})
    assert room["unique"] == {"t:k": "0 a"}


def test_a_dead_one_replaces_nobody(room: Room) -> None:
    bury(room, "a", how="pe")
    send(room, "b", how="pe")
    assert room.broker.revive_free(["a"]) == ([], {"a": "b"})


# --- from an outbox ------------------------------------------------------------------------------------------------------


def test_what_comes_from_another_queue_is_ignored_where_one_is_there(room: Room) -> None:
    """Nobody is there to be told; it has come, and is struck."""
    send(room, "a")
    some = [
        Posted(n, Outgoing("q", task_id, "", "", only(task_id, key))) for n, task_id, key in ((5, "b", "k"), (6, "c", "other"))
    ]
    assert room.broker.receive("source", some) == ([0, 1], 6)
    assert set(room["tasks"]) == {"a", "c"}


# --- our keys, and others at them ----------------------------------------------------------------------------------------


def test_a_row_of_a_task_that_is_gone_refuses_nobody_and_goes(room: Room) -> None:
    send(room, "a", "b", "c", key="k", how="pe")
    room.client.hdel(room.prefix + "tasks", "c")
    assert is_free(room)
    send(room, "d")
    room.client.delete(room.prefix + "tasks")
    Audit(room.broker).portion()
    assert room["unique"] is None


def test_a_row_of_an_id_that_was_sent_again_under_another_key_refuses_nobody(room: Room) -> None:
    send(room, "a", key="one")
    room.client.hset(room.prefix + "tasks", "a", only("a", "two"))
    assert is_free(room, "one")


@pytest.mark.parametrize("gone", ["unique", "tasks"])
def test_what_waits_behind_one_whose_row_or_task_was_deleted_goes_on(room: Room, gone: str) -> None:
    send(room, "a")
    session = worker(room)
    session.step(9)
    send(room, "b", how="pe")
    if gone == "unique":
        room.client.delete(room.prefix + "unique")
    else:
        room.client.hdel(room.prefix + "tasks", "a")
    Audit(room.broker).portion()
    assert names(session.step(9).deliveries) == ["b"]
    assert not is_free(room)


def test_one_that_stands_nowhere_waits_again_behind_the_first(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    send(room, "b", how="pe")
    room.client.delete(room.prefix + "parked:unique")
    assert Audit(room.broker).portion() == 1
    assert list(room["parked:unique"]) == ["b"]
    settle(session, a)
    assert names(session.step(9).deliveries) == ["b"]


def test_a_key_of_the_wrong_type_costs_unique_tasks_alone(room: Room) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    room.client.rename(room.prefix + "unique", room.prefix + "aside")
    room.client.set(room.prefix + "unique", "no hash")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        room.broker.enqueue([Encoded("b", "", "", only("b")), Encoded("p", "", "", plain("p"))])
    assert set(room["tasks"]) == {"a", "p"}
    settle(session, a)
    [p] = session.step(9).deliveries
    settle(session, p)
    assert room["tasks"] is None
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        Audit(room.broker).portion()
    room.client.delete(room.prefix + "unique")
    room.client.rename(room.prefix + "aside", room.prefix + "unique")
    assert is_free(room)


@pytest.mark.parametrize("thing", ["parked:unique", "scheduled", "attempts", "waiters", "owned", "expiring"])
def test_what_cannot_replace_changes_nothing(room: Room, thing: str) -> None:
    send(room, "a")
    session = worker(room)
    [a] = session.step(9).deliveries
    room.client.set(room.prefix + thing, "something else")
    with pytest.raises(HotQueueError, match="WRONGTYPE"):
        send(room, "b", how="pe")
    room.client.delete(room.prefix + thing)
    assert (set(room["tasks"]), list(room["unique"].values())) == ({"a"}, ["0 a"])
    settle(session, a)
    assert_nothing_is_left(room)


@pytest.mark.parametrize("data", [b"\x01sd\x10", b"\x01sd\x18" + b"\xff" * 40, b"\x01sd\x10" + bytes(24)])
def test_what_only_looks_unique_is_a_task_like_any(room: Room, data: bytes) -> None:
    assert room.broker.enqueue([Encoded("x", "", "", data)]) == [True]
    session = worker(room)
    [delivery] = session.step(1).deliveries
    settle(session, delivery, "D", extra="{}")
    assert room.broker.revive(["x"]) == ["x"]
    [delivery] = session.step(1).deliveries
    settle(session, delivery)
    assert (delivery.data, room["tasks"]) == (data, None)


# --- what they cost ------------------------------------------------------------------------------------------------------


def commands(room: Room, act: Callable[[], object]) -> Counter[str]:
    room.client.config_resetstat()
    act()
    stats: dict[str, dict[str, int]] = room.client.info("commandstats")
    found = Counter({name.removeprefix("cmdstat_"): int(each["calls"]) for name, each in stats.items()})
    for own in ("config|resetstat", "config", "info"):
        found.pop(own, None)
    return found


def test_unique_tasks_cost_the_others_nothing(room: Room) -> None:
    session = worker(room)

    def pass_through(task_id: str) -> None:
        room.client.delete(room.prefix + "bell")
        room.broker.enqueue([Encoded(task_id, "", "", plain(task_id))])
        [delivery] = session.step(1).deliveries
        settle(session, delivery)

    for task_id in ("first", "second"):
        pass_through(task_id)
    before = commands(room, lambda: pass_through("a"))
    for n in range(100):
        send(room, f"u{n}", key=str(n))
    assert len(session.step(100).deliveries) == 100
    assert commands(room, lambda: pass_through("b")) == before


# --- at random -----------------------------------------------------------------------------------------------------------


class Walk:
    """Does to a queue what clients, workers, supervisors and faults do, in any order."""

    KEYS = ("one", "two", "three")

    def __init__(self, room: Room, seed: int) -> None:
        self.room, self.random = room, random.Random(seed)
        self.number = 0
        self.workers: dict[str, Session] = {}
        self.hands: dict[str, list[Delivery]] = {}
        self.audit = Audit(room.broker)
        self.log: list[str] = []
        self.was_held: set[str] = set()

    def send(self) -> None:
        tasks = []
        for _ in range(self.random.choice([1, 1, 1, 3])):
            self.number += 1
            task_id, kind = f"t{self.number}", self.random.choice([envelope.SYNC, envelope.SYNC, envelope.ASYNC])
            how = self.random.choice(["re", "ie", "ie", "pe", "pe", "pe", "is", "ps"])
            gates = self.random.choice([b"", b"", b"c1 k:lane"])
            key = self.random.choice(self.KEYS)
            data = self.random.choice([only(task_id, key, how, kind=kind, gates=gates)] * 3 + [plain(task_id)])
            due, expires = self.random.choice(["", "", "+1", "+9"]), self.random.choice(["", "", "", "+3"])
            tasks.append(Encoded(task_id, due, expires, data))
        before = set(self.room["tasks"] or ())
        try:
            self.room.broker.enqueue(tasks)
        except DuplicateTask as error:
            assert set(self.room["tasks"] or ()) == before
            for own, other in error.ids.items():
                assert other in before or (other == "" and len(tasks) > 1), (own, other)

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
            room = 1 if name[0] == "x" else self.random.randint(1, 5)
            self.hands[name] += self.workers[name].step(room).deliveries
            self.was_held |= {each.id for each in self.hands[name]}

    def settle(self) -> None:
        busy = [name for name, hand in self.hands.items() if hand]
        if busy:
            name = self.random.choice(busy)
            delivery = self.hands[name].pop(self.random.randrange(len(self.hands[name])))
            self.end(name, delivery, self.random.choice("SSSXDERRPKL"))

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
        behind = sorted(self.room["parked:unique"] or ())
        task_id = self.random.choice([*behind, f"t{self.random.randint(1, max(1, self.number))}"])
        self.room.broker.revoke(task_id, b"record", 1000, "unique" if task_id in behind else self.random.choice(["-", "task:x"]))

    def keep_up(self) -> None:
        self.room.broker.promote()
        self.room.broker.expire_all()
        self.audit.portion()
        self.room.broker.unpark("task:x", "s", 5)

    def revive(self) -> None:
        self.was_held -= set(self.room.broker.revive(self.room.broker.dead_ids(2)))  # these take it again

    def discard(self) -> None:
        self.room.broker.discard(self.room.broker.dead_ids(1))

    def check(self) -> None:
        """Of each key one is there, and behind one that runs, or did, one more at most; rows say who they are."""
        room, live = self.room, defaultdict[str, list[str]](list)
        tasks = {key.decode(): data for key, data in room.client.hgetall(room.prefix + "tasks").items()}
        for task_id, data in tasks.items():
            said = unique.read(envelope.decode(data).unique) if data[3] & envelope.UNIQUE else None
            if said and not (said.until == "started" and task_id in self.was_held):
                live[said.key].append(task_id)
        rows = {key: [line.partition(" ")[2] for line in value.split("\n")] for key, value in (room["unique"] or {}).items()}
        assert {key: set(ids) for key, ids in live.items()} == {key: set(ids) for key, ids in rows.items()}, self.log[-20:]
        behind = set(room["parked:unique"] or ())
        for ids in rows.values():
            assert len(ids) <= 2
            if len(ids) == 2:
                assert ids[0] in self.was_held, self.log[-20:]
                assert ids[1] not in self.was_held
                assert ids[1] in behind or ids[1] in (room["scheduled"] or ()), self.log[-20:]
        assert behind <= {ids[1] for ids in rows.values() if len(ids) == 2}, self.log[-20:]

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
                    self.was_held.add(delivery.id)
                    self.end(name, delivery, "X")
                self.check()


@pytest.mark.parametrize("seed", range(8))
def test_at_random_no_two_of_a_key_none_forgotten_nothing_left(room: Room, seed: int) -> None:
    walk = Walk(room, seed)
    ways = [*[walk.send] * 5, walk.join, *[walk.step] * 5, walk.settle, walk.settle, walk.die]
    ways += [walk.take_back, walk.recover, walk.revoke, walk.revoke, walk.keep_up, walk.keep_up, walk.revive, walk.discard]
    for _ in range(250):
        way = walk.random.choice(ways)
        walk.log.append(way.__name__)
        way()
        walk.check()
    walk.finish()
    assert all(is_free(room, key) for key in Walk.KEYS)
    assert_nothing_is_left(room)
