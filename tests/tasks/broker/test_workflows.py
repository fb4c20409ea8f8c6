"""Steps of workflows in the store: each begins when what it waits for has come, once; none waits for ever; nothing is left.

Of this kind: each way a task before a step ends (it succeeds, dies, is revoked, expires, is retried, thrown away); several
before one, and several behind one; ends that come twice; steps sent in several lots, again, or never to the end; steps behind
tasks that were sent earlier, and have ended; more than a script follows at once. At random: test_workflows_at_random.py.
"""

from __future__ import annotations

import asyncio

import pytest

from hotqueue.errors import ConfigError, DuplicateTask, QueueFull, UnknownTask
from hotqueue.tasks.broker.bounded import Bound, BoundedBroker
from hotqueue.tasks.broker.revoking_many import Sought
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.wire.settlement import Settlement
from tests.support.waiting import wait_until
from tests.tasks.broker.test_unique import only
from tests.tasks.contents import Room, sync

only_server = pytest.mark.servers("server")
HOUR = 3_600_000


def step(room: Room, name: str, *needs: str, when: str = "S", takes: bool = True, due: str = "", expires: str = "") -> Step:
    return Step(name, room.queue.name, sync(name).encode(), due, expires, needs, when, takes)


def send(room: Room, *steps: Step, words: bytes = b"") -> None:
    room.broker.enqueue_plan("w", steps, words)


def worker(room: Room) -> Session:
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    return session


def fetched(session: Session, room: int = 100) -> list[str]:
    return [delivery.id for delivery in session.step(room).deliveries]


def settled(session: Session, *ids: str, code: str = "S") -> list[str]:
    """Settle how tasks ended, and return what that makes ready, in the same trip."""
    blob = b"" if code == "X" else b"\x01" + code.encode() + b" end"
    extra = "{}" if code == "D" else ""
    return [d.id for d in session.step(100, [Settlement(each, "*", code, blob, HOUR, extra) for each in ids]).deliveries]


def origin_of(room: Room, task_id: str) -> tuple[State, str | None]:
    found = record.decode(room.broker.record(task_id) or b"", task_id)
    return found.state, found.origin


def left(room: Room) -> set[str]:
    """Return what is left in the store of workflows, and of their tasks."""
    names = (
        "tasks",
        "attempts",
        "owned",
        "owned:over",
        "steps",
        "dead:steps",
        "steps:todo",
        "steps:open",
        "ready",
        "scheduled",
        "expiring",
    )
    return {name for name in names if room[name]}


def ended(room: Room) -> None:
    while room.broker.let_go():
        pass
    assert left(room) == set()


@only_server
@pytest.mark.parametrize("code", ["S", "X"])
def test_the_end_of_a_step_and_the_start_of_the_next_are_one_script(room: Room, code: str) -> None:
    send(room, step(room, "a"), step(room, "b", "a"), step(room, "c", "b", takes=False))
    session = worker(room)
    assert fetched(session) == ["a"]
    assert room.broker.look("b").where == "waits"
    assert settled(session, "a", code=code) == ["b"]
    assert settled(session, "b", code=code) == ["c"]
    assert settled(session, "c", code=code) == []
    ended(room)


@only_server
def test_a_value_stays_while_a_step_needs_it_and_then_for_its_own_time(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b", "a"), step(room, "c", "b", takes=False))
    session = worker(room)
    fetched(session)
    settled(session, "a")
    assert room.ttl("result:a") == -1
    settled(session, "b")
    assert 0 < room.ttl("result:a") <= HOUR
    assert 0 < room.ttl("result:b") <= HOUR  # which "c" takes nothing of


@only_server
def test_a_chord_counts_its_members_as_a_set(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b"), step(room, "body", "a", "b"))
    session = worker(room)
    assert sorted(fetched(session)) == ["a", "b"]
    assert settled(session, "a") == []
    assert settled(session, "a") == []  # it is gone: said again
    assert settled(session, "b") == ["body"]
    assert settled(session, "body") == []
    ended(room)


@only_server
@pytest.mark.parametrize(("code", "state"), [("D", State.FAILURE), ("E", State.REVOKED)])
def test_what_stands_behind_a_failed_step_ends_with_the_name_of_that_one(room: Room, code: str, state: State) -> None:
    send(room, step(room, "a"), step(room, "b", "a"), step(room, "c", "b"), step(room, "other"))
    session = worker(room)
    fetched(session)
    assert settled(session, "a", code=code) == []
    assert origin_of(room, "b") == (state, "a")
    assert origin_of(room, "c") == (state, "a")
    assert set(room["tasks"]) == {"other"}
    settled(session, "other")
    if code == "D":
        room.broker.discard(["a"])
    ended(room)


@only_server
def test_retrying_a_dead_step_resumes_what_is_behind_it(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b"), step(room, "c", "a", "b"), step(room, "d", "c"))
    session = worker(room)
    fetched(session)
    settled(session, "a", code="D")
    settled(session, "b", code="D")
    room.broker.revive(["a"])
    assert origin_of(room, "d") == (State.FAILURE, "a")
    assert fetched(session) == ["a"]
    assert settled(session, "a") == []
    room.broker.revive(["b"])
    assert (room.broker.record("c"), room.broker.record("d")) == (None, None)
    assert fetched(session) == ["b"]
    assert settled(session, "b") == ["c"]
    assert settled(session, "c") == ["d"]
    settled(session, "d")
    ended(room)


@only_server
def test_a_step_behind_any_end_runs_whatever_failed(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b"), step(room, "c", "a", "b", when="A"))
    session = worker(room)
    fetched(session)
    assert settled(session, "a", code="D") == []
    assert settled(session, "b", code="E") == ["c"]
    settled(session, "c")
    room.broker.revive(["a"])
    assert fetched(session) == ["a"]
    assert settled(session, "a") == []
    ended(room)


@only_server
def test_a_step_behind_a_failure_runs_once_or_is_dropped(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b", "a"), step(room, "oops", "a", "b", when="F"))
    session = worker(room)
    fetched(session)
    assert settled(session, "a") == ["b"]
    assert settled(session, "b", code="D") == ["oops"]
    settled(session, "oops")
    send(room, step(room, "a2"), step(room, "b2", "a2"), step(room, "oops2", "a2", "b2", when="F"))
    fetched(session)
    settled(session, "a2")
    settled(session, "b2")
    room.broker.discard(["b"])
    ended(room)


@only_server
def test_revoking_one_that_waits_ends_what_is_behind_it_and_all_of_a_workflow_at_once(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b", "a"), step(room, "c", "b"))
    assert room.broker.revoke("b", b"\x01R end", HOUR) == "revoked"
    assert origin_of(room, "c") == (State.REVOKED, "b")
    assert room.broker.revoke_steps(["a", "b", "c"]) == 1
    ended(room)
    send(room, *[step(room, f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(1200)])
    assert room.broker.revoke_steps([f"s{n}" for n in range(1200)]) == 1200
    ended(room)


@only_server
def test_what_waits_is_counted_and_purged_as_any(room: Room) -> None:
    send(room, step(room, "a"), step(room, "b", "a"), step(room, "c", "b"))
    counts = room.broker.counts()
    assert (counts["steps"], counts["ready"], counts["waiting"], counts["unfinished"]) == (2, 1, 3, 3)
    room.broker.revoke_some(Sought())
    assert room["tasks"] is None
    ended(room)


@only_server
def test_a_large_workflow_is_sent_in_few_lots_and_followed_in_portions(room: Room) -> None:
    members = [f"m{n}" for n in range(2500)]
    send(room, step(room, "a"), *[step(room, each, "a") for each in members], step(room, "z", *members), words=b"what it is")
    session = worker(room)
    assert fetched(session) == ["a"]
    ready = settled(session, "a")
    while ready:
        ready = settled(session, *ready)
    ended(room)
    assert room.broker.workflow("w") == b"what it is"
    assert 0 < room.ttl("result:workflow:w") <= HOUR


@only_server
def test_what_is_left_to_follow_goes_on_with_the_next_step_of_any_worker(room: Room) -> None:
    members = [f"m{n}" for n in range(1500)]
    send(room, step(room, "a"), *[step(room, each, "a", takes=False) for each in members])
    session = worker(room)
    assert fetched(session) == ["a"]
    ready = settled(session, "a")
    seen = []
    while ready:  # no upkeep is there
        seen += ready
        ready = settled(session, *ready)
    assert sorted(seen) == sorted(members)
    ended(room)


@only_server
@pytest.mark.parametrize("code", ["D", "E"])
def test_many_behind_a_failure_end_in_portions(room: Room, code: str) -> None:
    members = [f"m{n}" for n in range(1500)]
    send(room, step(room, "a"), *[step(room, each, "a") for each in members], step(room, "z", *members))
    session = worker(room)
    fetched(session)
    settled(session, "a", code=code)
    assert room["steps:todo"]
    assert room.broker.follow(100) == 0
    assert set(room["tasks"] or ()) == set()
    if code == "D":
        room.broker.revive(["a"])
        room.broker.follow(100)
        assert fetched(session) == ["a"]
        ready = settled(session, "a")
        while ready:
            ready = settled(session, *ready)
    ended(room)


@only_server
def test_what_was_never_sent_to_the_end_is_ended(room: Room) -> None:
    session = worker(room)
    members = [step(room, f"m{n}") for n in range(1500)]
    next(room.broker.sending("w", [*members, step(room, "z", *[m.id for m in members])]))
    assert room["steps:open"]
    room.client.zadd(room.prefix + "steps:open", {"w": 1})
    assert room.broker.follow(100) == 0
    assert origin_of(room, "z") == (State.FAILURE, "")
    ready = fetched(session)
    while ready:
        ready = settled(session, *ready)
    ended(room)


@only_server
def test_sent_again_it_is_the_same(room: Room) -> None:
    steps = step(room, "a"), step(room, "b", "a")
    send(room, *steps)
    send(room, *steps)
    session = worker(room)
    assert fetched(session) == ["a"]
    assert settled(session, "a") == ["b"]
    send(room, *steps)
    settled(session, "b")
    send(room, *steps)
    ended(room)
    with pytest.raises(DuplicateTask, match="task b is there already"):
        send(room, *steps, step(room, "c", "b"))


@only_server
def test_a_step_may_stand_behind_tasks_that_were_sent_earlier(room: Room) -> None:
    session = worker(room)
    send(room, step(room, "a"), step(room, "b"), step(room, "c"))
    fetched(session)
    settled(session, "a")
    settled(session, "b", code="D")
    send(room, step(room, "d", "a", "c"))
    assert settled(session, "c") == ["d"]
    assert room.ttl("result:a") == -1
    settled(session, "d")
    send(room, step(room, "e", "a"), step(room, "f", "b"))
    assert fetched(session) == ["e"]
    assert origin_of(room, "f") == (State.FAILURE, "b")
    settled(session, "e")
    room.broker.revive(["b"])
    assert fetched(session) == ["b"]
    assert settled(session, "b") == ["f"]
    settled(session, "f")
    with pytest.raises(UnknownTask, match="waits for task nowhere"):
        send(room, step(room, "g", "nowhere"))
    ended(room)


@only_server
def test_a_step_may_be_due_later_and_may_expire(room: Room) -> None:
    session = worker(room)
    send(room, step(room, "a"), step(room, "b", "a", due="+100000"), step(room, "c", "a", expires="+1"), step(room, "d", "c"))
    fetched(session)
    wait_until(room.broker.expire_all)
    assert origin_of(room, "d") == (State.REVOKED, "c")
    settled(session, "a")
    assert set(room["scheduled"]) == {"b"}
    room.broker.revoke("b", b"\x01R end", HOUR)
    ended(room)


@only_server
def test_a_loop_sends_one_as_well(room: Room) -> None:
    asyncio.run(room.broker.aenqueue_plan("w", [step(room, "a"), step(room, "b", "a")], b"words"))
    session = worker(room)
    assert (fetched(session), settled(session, "a"), settled(session, "b")) == (["a"], ["b"], [])
    ended(room)
    with pytest.raises(UnknownTask):
        asyncio.run(room.broker.aenqueue_plan("w", [step(room, "c", "nowhere")]))


@only_server
def test_all_of_it_is_refused_where_a_part_is(room: Room) -> None:
    broker = BoundedBroker(room.broker.store, room.queue.name, Bound(1))
    broker.enqueue_plan("w", [step(room, "a"), step(room, "b", "a")])  # one of them waits for a worker
    with pytest.raises(QueueFull, match="has 1 task waiting, and no room for a workflow of 2 steps"):
        broker.enqueue_plan("v", [step(room, "c"), step(room, "d", "c")])
    unique = [Step(each, room.queue.name, only("k"), needs=needs) for each, needs in (("e", ()), ("f", ()), ("g", ("e",)))]
    with pytest.raises(DuplicateTask, match="comes twice"):
        room.broker.enqueue_plan("u", unique)
    assert set(room["tasks"]) == {"a", "b"}
    assert room.broker.revoke_steps(["a", "b"]) == 2
    ended(room)


@only_server
def test_a_lot_that_comes_too_late_is_refused(room: Room) -> None:
    sending = room.broker.sending("w", [*[step(room, f"m{n}") for n in range(1500)], step(room, "z", "m0")])
    next(sending)
    room.client.delete(room.prefix + "steps:open")
    with pytest.raises(
        ConfigError, match=r"did not take the rest of a workflow: .* send it anew, under another task_id if you gave it one"
    ):
        next(sending)
    room.broker.revoke_steps([*room["tasks"]])
    ended(room)
