"""Steps of a workflow that are of other queues: each runs there once, with what it takes, and the workflow goes on with its end.

Of this kind: each way such a step ends, and begins again; members of one chord in several queues; a relay that stops at any step;
an end that comes twice; tasks of another queue that are only waited for, there, ended, dead or unknown; revoking what waits, what
is under way, and what runs; a queue that is newer, or holds junk; more than one trip takes. At random:
test_crossing_at_random.py; real tasks: tests/tasks/test_workflows_across_queues.py; with processes that are killed:
tests/crash/test_crossing.py.
"""

from __future__ import annotations

import pytest

from hotqueue.errors import NewerQueue
from hotqueue.tasks.broker.relay import STEPS, relay
from hotqueue.tasks.broker.revoking_many import Sought
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire.plan import Step
from tests.tasks.broker.test_workflows import HOUR, ended, fetched, origin_of, send, settled, step, worker
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server", "cluster")


def brought(*rooms: Room) -> None:
    """Bring what is in the outboxes of these queues, until nothing is; do what upkeep does."""
    brought = True
    while brought:
        for room in rooms:
            room.broker.follow()
        brought = sum(relay(room.broker) for room in rooms) > 0


def left_nothing(*rooms: Room) -> None:
    for room in rooms:
        ended(room)
        assert (room["steps:reported"], room["outbox"]) == (None, None)


def sent(room: Room, other: Room, *steps: Step) -> tuple[Session, Session]:
    """Send a workflow to one queue; return a worker of it, and one of the other."""
    send(room, *steps)
    return worker(room), worker(other)


def test_a_step_of_another_queue_runs_there_and_the_next_when_its_end_has_come(room: Room, other: Room) -> None:
    here, there = sent(room, other, step(room, "a"), step(other, "b", "a"), step(room, "c", "b"))
    assert fetched(here) == ["a"]
    assert settled(here, "a") == []
    assert room.broker.look("b").where == "elsewhere"
    brought(room, other)
    assert fetched(there) == ["b"]
    assert settled(there, "b") == []
    assert room["tasks"].keys() == {"b", "c"}
    brought(room, other)
    assert fetched(here) == ["c"]
    assert room.broker.record("b") == b"\x01S end"
    settled(here, "c")
    left_nothing(room, other)


@pytest.mark.parametrize("code", ["S", "X"])
def test_each_step_of_a_chain_may_be_of_the_other_queue(room: Room, other: Room, code: str) -> None:
    here, there = sent(room, other, step(room, "a"), step(other, "b", "a"), step(other, "c", "b"), step(room, "d", "c"))
    fetched(here)
    settled(here, "a", code=code)
    for name in "bc":
        brought(room, other)
        assert fetched(there) == [name]
        settled(there, name, code=code)
    brought(room, other)
    assert fetched(here) == ["d"]
    assert room.broker.record("c") == (b"\x01S end" if code == "S" else None)
    settled(here, "d", code=code)
    left_nothing(room, other)


def test_what_a_step_takes_comes_along_and_stays_there_until_it_is_over(room: Room, other: Room) -> None:
    here, there = sent(room, other, step(room, "a"), step(other, "b", "a"), step(room, "c", "b"))
    fetched(here)
    settled(here, "a")
    assert [each.record for each in room.broker.inputs(["a", "nowhere"])] == [b"\x01S end"]
    # short envelopes say of no needs: what comes along is for the test of real tasks
    brought(room, other)
    fetched(there)
    assert room.ttl("result:a") == -1
    settled(there, "b")
    assert other.ttl("result:b") > 0  # it was told: its own time has begun
    brought(room, other)
    assert 0 < room.ttl("result:a") <= HOUR
    assert room.ttl("result:b") == -1
    fetched(here)
    settled(here, "c")
    left_nothing(room, other)


def test_members_of_a_chord_are_of_both_queues(room: Room, other: Room) -> None:
    members = [step((room, other)[n % 2], f"m{n}") for n in range(6)]
    here, there = sent(room, other, *members, step(room, "body", *[each.id for each in members]))
    brought(room)
    assert sorted(fetched(here)) == ["m0", "m2", "m4"]
    assert sorted(fetched(there)) == ["m1", "m3", "m5"]
    settled(here, "m0", "m2", "m4")
    settled(there, "m1", "m3")
    brought(room, other)
    assert fetched(here) == []
    settled(there, "m5")
    brought(room, other)
    assert fetched(here) == ["body"]
    settled(here, "body")
    left_nothing(room, other)


def test_a_body_may_be_of_the_other_queue_and_the_whole_of_it(room: Room, other: Room) -> None:
    here, there = sent(room, other, step(other, "a"), step(other, "b"), step(other, "body", "a", "b"))
    brought(room, other)
    assert sorted(fetched(there)) == ["a", "b"]
    settled(there, "a", "b")
    brought(room, other)
    assert fetched(there) == ["body"]
    settled(there, "body")
    brought(room, other)
    assert fetched(here) == []
    assert room.broker.record("body") == b"\x01S end"
    left_nothing(room, other)


@pytest.mark.parametrize(("code", "state"), [("D", State.FAILURE), ("E", State.REVOKED)])
def test_what_stands_behind_one_that_failed_there_ends(room: Room, other: Room, code: str, state: State) -> None:
    here, there = sent(
        room, other, step(other, "a"), step(room, "b", "a"), step(other, "c", "b"), step(room, "oops", "a", when="F")
    )
    brought(room, other)
    fetched(there)
    settled(there, "a", code=code)
    brought(room, other)
    assert (origin_of(room, "b"), origin_of(room, "c")) == ((state, "a"), (state, "a"))
    assert room.broker.record("a") == b"\x01" + code.encode() + b" end"
    assert fetched(here) == (["oops"] if code == "D" else [])
    if code == "D":
        settled(here, "oops")
        other.broker.discard(["a"])
        brought(room, other)
    left_nothing(room, other)


def test_retrying_it_there_resumes_what_is_behind_it_here(room: Room, other: Room) -> None:
    here, there = sent(room, other, step(room, "a"), step(other, "b", "a"), step(room, "c", "b"), step(other, "d", "c"))
    fetched(here)
    settled(here, "a")
    brought(room, other)
    for _ in range(2):
        assert fetched(there) == ["b"]
        settled(there, "b", code="D")
        brought(room, other)
        assert origin_of(room, "d") == (State.FAILURE, "b")
        other.broker.revive(["b"])
        brought(room, other)
        assert [room.broker.record(each) for each in "bcd"] == [None, None, None]
        assert room.broker.look("b").where == "elsewhere"
    fetched(there)
    settled(there, "b")
    brought(room, other)
    assert fetched(here) == ["c"]
    settled(here, "c")
    brought(room, other)
    assert fetched(there) == ["d"]
    settled(there, "d")
    brought(room, other)
    left_nothing(room, other)


def test_a_step_of_another_queue_behind_a_dead_one_goes_there_once_that_was_retried(room: Room, other: Room) -> None:
    here, there = sent(room, other, step(room, "a"), step(other, "b", "a"), step(room, "c", "b"))
    fetched(here)
    settled(here, "a", code="D")
    assert origin_of(room, "c") == (State.FAILURE, "a")
    room.broker.revive(["a"])
    fetched(here)
    settled(here, "a")
    brought(room, other)
    assert fetched(there) == ["b"]
    settled(there, "b")
    brought(room, other)
    assert fetched(here) == ["c"]
    settled(here, "c")
    left_nothing(room, other)


def test_errbacks_and_steps_behind_any_end_of_the_other_queue(room: Room, other: Room) -> None:
    steps = step(room, "a"), step(room, "b"), step(other, "oops", "a", "b", when="F"), step(other, "any", "a", "b", when="A")
    here, there = sent(room, other, *steps, step(other, "not", "oops", when="F"))
    fetched(here)
    settled(here, "a", code="D")
    brought(room, other)
    assert fetched(there) == ["oops"]
    settled(here, "b")
    settled(there, "oops")
    brought(room, other)
    assert fetched(there) == ["any"]
    settled(there, "any")
    room.broker.discard(["a"])
    brought(room, other)
    left_nothing(room, other)


@pytest.mark.parametrize("at", STEPS)
def test_a_relay_that_stops_at_any_step_doubles_and_loses_nothing(room: Room, other: Room, at: str) -> None:
    def stop(passed: str) -> None:
        if passed == at:
            raise InterruptedError

    here, there = sent(room, other, step(room, "a"), step(other, "b", "a"), step(room, "c", "b"))
    fetched(here)
    settled(here, "a")
    with pytest.raises(InterruptedError):
        relay(room.broker, stop)
    ran = fetched(there)
    brought(room)
    assert ran + fetched(there) == ["b"]
    settled(there, "b")
    with pytest.raises(InterruptedError):
        relay(other.broker, stop)
    ran = fetched(here)
    brought(other)
    assert ran + fetched(here) == ["c"]
    settled(here, "c")
    left_nothing(room, other)


def test_an_end_that_comes_twice_counts_once(room: Room, other: Room) -> None:
    here, there = sent(room, other, step(other, "a"), step(other, "b"), step(room, "c", "a", "b"))
    brought(room)
    fetched(there)
    settled(there, "a")
    _, read = other.broker.posted(room.queue.name)
    brought(other)
    assert room.broker.hear(other.queue.name, read, [()]).answers == [2]  # it has been struck
    room.client.delete(f"{room.prefix}receipts")  # what a failover may do
    assert room.broker.hear(other.queue.name, read, [()]).answers == [1]
    assert fetched(here) == []
    settled(there, "b")
    brought(other)
    assert fetched(here) == ["c"]
    settled(here, "c")
    left_nothing(room, other)


@pytest.mark.parametrize("code", ["S", "X", "D", "E", ""])
def test_tasks_of_another_queue_that_were_sent_earlier(room: Room, other: Room, code: str) -> None:
    """Ended, or not yet."""
    other.broker.enqueue_plan("v", [step(other, "t"), step(other, "u")])
    there = worker(other)
    fetched(there)
    if code:
        settled(there, "t", code=code)
    elsewhere = [("t", other.queue.name), ("u", other.queue.name)]
    here = worker(room)
    for name in "ab":  # both wait for the same
        room.broker.enqueue_plan(name, [step(room, name, "t", "u", takes=False)._replace(elsewhere=elsewhere)])
    brought(room, other)
    settled(there, "u")
    if not code:
        settled(there, "t")
    brought(room, other)
    if code in ("D", "E"):
        state = State.FAILURE if code == "D" else State.REVOKED
        assert (origin_of(room, "a"), origin_of(room, "b"), fetched(here)) == ((state, "t"), (state, "t"), [])
    if code == "D":
        other.broker.revive(["t"])
        fetched(there)
        settled(there, "t")
        brought(room, other)
    if code != "E":
        assert sorted(fetched(here)) == ["a", "b"]
        settled(here, "a", "b")
    left_nothing(room, other)


def test_what_is_unknown_there_fails_what_waits_for_it(room: Room, other: Room) -> None:
    send(room, step(room, "a", "nowhere", takes=False)._replace(elsewhere=[("nowhere", other.queue.name)]))
    assert room["tasks"].keys() == {"a", "nowhere"}
    brought(room)
    assert origin_of(room, "a") == (State.FAILURE, "nowhere")
    left_nothing(room, other)


def test_revoking_a_workflow_ends_what_waits_there_and_lets_go_on_what_runs(room: Room, other: Room) -> None:
    steps = step(other, "runs"), step(other, "waits"), step(room, "c", "runs", "waits"), step(other, "later", "c")
    _, there = sent(room, other, *steps)
    brought(room)
    session = there
    assert [each.id for each in session.step(1).deliveries] == ["runs"]
    assert room.broker.revoke_steps(["runs", "waits", "c", "later"]) == 2
    brought(room)
    assert record_state(room, "waits") == State.REVOKED
    assert other["tasks"].keys() == {"runs"}
    settled(session, "runs")
    brought(room, other)
    assert room.broker.record("runs") == b"\x01S end"
    left_nothing(room, other)


def record_state(room: Room, task_id: str) -> State:
    return origin_of(room, task_id)[0]


def test_revoking_one_ends_it_there_whether_it_has_come_or_not(room: Room, other: Room) -> None:
    _, there = sent(room, other, step(room, "x"), step(other, "a"), step(room, "b", "a"))
    assert room.broker.revoke("a", b"R1 0", HOUR) == "elsewhere"  # it is under way
    brought(room)
    assert (record_state(room, "a"), origin_of(room, "b")) == (State.REVOKED, (State.REVOKED, "a"))
    assert fetched(there) == []
    room.broker.revoke("x", b"R1 0", HOUR)
    left_nothing(room, other)
    send(room, step(other, "c"), step(room, "d", "c"))
    brought(room)
    other.broker.revoke("c", b"R1 0", HOUR)  # by its own queue
    brought(other)
    assert origin_of(room, "d") == (State.REVOKED, "c")
    left_nothing(room, other)


def test_terminating_one_that_runs_there_is_said_to_its_queue(room: Room, other: Room) -> None:
    _, there = sent(room, other, step(other, "a"))
    brought(room)
    fetched(there)
    room.broker.revoke("a", b"R1 0", HOUR, terminate=True)
    brought(room)
    assert other["control"] == {"a": "R1 0"}
    settled(there, "a", code="E")
    brought(other)
    assert room.broker.record("a") == b"\x01E end"


def test_one_that_is_nowhere_any_more_is_ended_by_revoking_it(room: Room, other: Room) -> None:
    sent(room, other, step(other, "a"), step(room, "b", "a"))
    brought(room)
    other.wipe()
    room.broker.revoke_steps(["a", "b"])
    brought(room)
    left_nothing(room)


def test_an_end_that_was_lost_is_asked_for_again(room: Room, other: Room) -> None:
    """As where a shard of a Cluster fails over; and one that is lost with its task is no success."""
    other.broker.enqueue_plan("v", [step(other, "t")])
    steps = step(other, "a"), step(other, "runs"), step(room, "b", "a"), step(room, "c", "runs")
    send(room, *steps, step(room, "d", "t", takes=False)._replace(elsewhere=[("t", other.queue.name)]))
    here, there = worker(room), worker(other)
    brought(room)
    assert sorted(fetched(there)) == ["a", "runs", "t"]
    settled(there, "a", "t")
    for key in ("outbox", f"posted:{room.queue.name}"):
        other.client.delete(other.prefix + key)
    brought(room, other)
    assert fetched(here) == []
    room.broker.ask_again()
    brought(room, other)
    assert sorted(fetched(here)) == ["b", "d"]
    assert room.broker.record("a") == b"\x01S end"
    settled(here, "b", "d")
    other.wipe()
    room.broker.ask_again()
    brought(room, other)
    assert origin_of(room, "c") == (State.FAILURE, "runs")
    left_nothing(room)


def test_purging_either_queue_ends_the_workflow(room: Room, other: Room) -> None:
    sent(room, other, step(other, "a"), step(room, "b", "a"), step(other, "c", "b"))
    brought(room)
    assert other.broker.revoke_some(Sought()) == 1
    brought(other)
    assert origin_of(room, "c") == (State.REVOKED, "a")
    left_nothing(room, other)
    sent(room, other, step(other, "a2"), step(room, "b2", "a2"), step(other, "c2", "b2"))
    brought(room)
    assert room.broker.revoke_some(Sought()) == 2  # what waits in the other queue is not of this one
    assert room["tasks"].keys() == {"a2"}
    assert room.broker.revoke_some(Sought(), is_to_mark=True) == 0
    brought(room)
    left_nothing(room, other)


def test_a_step_may_be_due_later_there_and_may_expire(room: Room, other: Room) -> None:
    here, _ = sent(room, other, step(room, "a"), step(other, "b", "a", due="+100000"), step(other, "c", "a", expires="+90000"))
    fetched(here)
    settled(here, "a")
    brought(room)
    assert other["scheduled"].keys() == {"b"}
    assert other["expiring"] == {"c": room["expiring"]["c"]}
    assert other.broker.revoke_some(Sought()) == 2
    brought(other)
    left_nothing(room, other)


def test_a_queue_that_is_newer_is_told_by_those_who_know_it(room: Room, other: Room) -> None:
    sent(room, other, step(other, "a"), step(room, "b", "a"))
    other.client.set(f"{other.prefix}schema:2", 2)
    with pytest.raises(NewerQueue):
        relay(room.broker)
    other.client.delete(f"{other.prefix}schema:2")
    brought(room)
    assert other["tasks"].keys() == {"a"}


def test_an_outbox_that_is_none_is_written_to_later(room: Room, other: Room) -> None:
    here, _ = sent(room, other, step(room, "a"), step(other, "b", "a"), step(room, "c", "a"))
    fetched(here)
    room.client.set(f"{room.prefix}posted:{other.queue.name}", "junk")
    assert settled(here, "a") == ["c"]
    assert room["steps:todo"]
    room.client.delete(f"{room.prefix}posted:{other.queue.name}")
    settled(here, "c")
    assert room["steps:todo"] is None
    brought(room)
    assert other["tasks"].keys() == {"b"}


def test_many_go_in_portions_and_come_back_as_well(room: Room, other: Room) -> None:
    members = [step(other, f"m{n}") for n in range(600)]
    here, there = sent(room, other, *members, step(room, "body", *[each.id for each in members]))
    brought(room)
    some = fetched(there, 1000)
    while some:
        some = settled(there, *some, code="X")
        brought(room, other)
    assert fetched(here) == ["body"]
    settled(here, "body")
    left_nothing(room, other)
