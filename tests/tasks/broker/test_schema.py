"""The schema of a queue: read, raised, and what each script does where it is older than its queue.

Of this kind: every script of the room, those that come later too: one that is in neither list fails. With processes of two
versions: tests/crash/test_upgrades.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hotqueue
from hotqueue import NewerQueue, keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.bounded import Bound, BoundedBroker
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.lost_steps import keys_of
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.broker.posting import Posted
from hotqueue.tasks.broker.revoking_many import Sought
from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.broker.streams import Place
from hotqueue.tasks.rules import history
from hotqueue.tasks.wire.outgoing import Outgoing
from hotqueue.tasks.wire.plan import Step
from tests.support import next_version
from tests.tasks.contents import BAND, Room, place, sync

pytestmark = pytest.mark.servers("server")
LATER = 9_999_999_999_999
FOLDER = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"
FIRST = keys.SCHEMA * keys.NUMBERS  # the last number that this version would give

REFUSED: dict[str, Callable[[Broker], Any]] = {
    "audit": lambda broker: Audit(broker).portion(),
    "claim": lambda broker: broker.claim("s", 5000),
    "count_waiting": lambda broker: BoundedBroker(broker.store, broker.name, Bound(1)).count_waiting(),
    "discard": lambda broker: broker.discard(["d"]),
    "undo_discard": lambda broker: broker.undo_discard(["d"]),
    "discarded_ids": lambda broker: broker.discarded_ids(),
    "enqueue": lambda broker: broker.enqueue(
        [Encoded("x", "", "", sync("X").encode()), Encoded("y", "", "", sync("Y").encode())]
    ),
    "enqueue_one": lambda broker: broker.enqueue_one("x", sync("X").encode()),
    "expire": lambda broker: broker.expire([("e", "-")]),
    "list_expired": Broker.expire_all,
    "let_go": Broker.let_go,
    "step_states": lambda broker: broker.step_states(["t"], 64),
    "revoke_steps": lambda broker: broker.revoke_steps(["t"]),
    "follow": Broker.follow,
    "enqueue_plan": lambda broker: broker.enqueue_plan("w", [Step("x", broker.name, sync("X").encode())]),
    "look": lambda broker: broker.look("t"),
    "mend_lanes": Broker.mend_lanes,
    "mend_unique": Broker.mend_unique,
    "at_gate": lambda broker: broker.at_gate("t"),
    "pause_key": lambda broker: broker.pause_key("k"),
    "ask_again": Broker.ask_again,
    "hear": lambda broker: broker.hear("o", [Posted(1, Outgoing(broker.name, "=1 t", "", "", b"\0w"))], [()]),
    "posted": lambda broker: broker.posted("o"),
    "strike": lambda broker: broker.strike("o", ()),
    "renumber": lambda broker: broker.renumber("o", (), 1),
    "told": lambda broker: broker.told("o", 1),
    "drop_source": lambda broker: broker.drop_source("o", b""),
    "mend_owners": Broker.mend_owners,
    **{
        name: lambda broker, script=script, args=args: broker.store.run(script, keys_of(script, broker.name), args)
        for name, script, args in (
            ("waiting_steps", scripts.WAITING_STEPS, ["0"]),
            ("awaited_steps", scripts.AWAITED_STEPS, ["0"]),
            ("end_lost", scripts.END_LOST, ["t", "row"]),
        )
    },
    "expire_unowned": lambda broker: broker.store.run(
        scripts.EXPIRE_UNOWNED, [keys.owned(broker.name)], [broker.results, 1000, "r"]
    ),
    "own": lambda broker: broker.own("t", ["r"]),
    "promote": Broker.promote,
    "register": lambda broker: Session(broker, "v", "s").register(5000, {}),
    "revive": lambda broker: broker.revive(["d"]),
    "revoke": lambda broker: broker.revoke("e", b"record", 1000),
    "revoke_some": lambda broker: broker.revoke_some(Sought()),
    "pause_task": lambda broker: broker.pause("t"),
    "due_schedules": Broker.due_schedules,
    "set_schedules": lambda broker: broker.set_schedules([Change("s", "", "1 - 0 d t - 0", b"row", "1")]),
    "declare": lambda broker: broker.declare("v 1 host:1", 1000),
    "unpark": lambda broker: broker.unpark("task:p", "s", 10),
    "upgrade": Broker.upgrade,
    "why": lambda broker: broker.facts("t"),
    "glimpse": lambda broker: list(broker.waiting()),
    "heads": lambda broker: broker.store.run(scripts.HEADS, broker.script_keys.heads(), []),
    "stream_read": lambda broker: broker.stream_read("t", Place()),
    "wait": lambda broker: broker.wait(["t"], "c"),
    # Single commands: what whoever operates a queue sees of it.
    **{name: getattr(Broker, name) for name in ("counts", "workers", "pause", "resume", "dead_count")},
    "list_dead": lambda broker: broker.dead(10),
    "dead_ids": lambda broker: broker.dead_ids(10),
    "dead_record": lambda broker: broker.dead_record("d"),
    "forget": lambda broker: broker.forget("r"),
    "fold": lambda broker: broker.store.run(scripts.FOLD, broker.script_keys.fold(), ["0", 0, 0, 0, 1000, 0]),
    "deploy": lambda broker: Statistics(broker.store, broker.name).deploy("1", "me"),
}
ALLOWED = {
    *(
        "step",
        "recover",
        "sweep",
        "take_back",
        "reap",
        "checkpoint",
        "stream_add",
    ),  # for what a worker, or those of a supervisor, hold themselves
    *(
        "has_tasks",
        "wake_tokens",
        "unstarted",
        "may_start",
    ),  # which read what has no forms, or are asked for after `revoke`, `pause`
    "glance",  # which says that it is newer
    "spans",  # of which a row says its own form
    *("needs_upkeep", "are_registered", "share"),  # by which upkeep sees what there is to do
    "free_done",  # of a supervisor, after its sweep
    "what_is_left",  # which leaves a queue that was taken up as it is: test_queue_names.py
}


@pytest.fixture
def newer(room: Room) -> Room:
    """A queue in which there is something of everything, of a schema that this version does not know."""
    room.fill({"tasks": {x: sync(x) for x in "tpehw1"}, "ready": {"t": place(1)}, "scheduled": {"1": 1}, "seq": "50"})
    room.fill({"needs": ["task:p"], "parked:task:p": {"p": 5}, "attempts": {"p": "0 0 task:p - -", "e": "0 0 - 5 -"}})
    room.fill({"suspects": {"w": place(2)}, "expiring": {"e": 5}, "dead": {"d": 7}, "dead:tasks": {"d": "{}\n" + sync("D")}})
    room.fill({"result:r": "record", "workers": {"u": LATER}, "worker:u": {"fetch": "3"}, "held:u": {"h": f"3 s {place(3)}"}})
    next_version.upgrade(room.broker.store, room.queue.name)
    return room


def test_no_script_is_left_out() -> None:
    scripts = {path.stem for path in FOLDER.glob("*.lua")}
    assert scripts == (REFUSED.keys() & scripts) | ALLOWED


@pytest.mark.parametrize("operation", REFUSED)
def test_what_is_older_than_its_queue_is_refused_and_changes_nothing(newer: Room, operation: str) -> None:
    def contents() -> dict[str, Any]:
        return {key: value for key, value in newer.contents().items() if key != "seq"}  # a number that nobody gets

    before = contents()
    with pytest.raises(
        NewerQueue, match=f"{newer.queue.name!r} has schema {keys.SCHEMA + 1}.* up to {keys.SCHEMA}: upgrade hotqueue here"
    ):
        REFUSED[operation](newer.broker)
    assert contents() == before


def test_loops_are_refused_as_well(newer: Room) -> None:
    tasks = [Encoded("x", "", "", sync("X").encode()), Encoded("y", "", "", sync("Y").encode())]
    for some in (tasks[:1], tasks):
        with pytest.raises(NewerQueue):
            asyncio.run(newer.broker.aenqueue(some))
    with pytest.raises(NewerQueue):
        asyncio.run(newer.broker.alook("t"))


class TestWorker:
    """An older worker, which holds "h" from before."""

    def test_it_settles_and_fetches_no_more(self, newer: Room) -> None:
        session = Session(newer.broker, "u", "s")
        session.number = 3
        stepped = session.step(5, [("h", "*", "S", b"record", 60_000, "")])
        assert (stepped.newer, stepped.alive, stepped.deliveries, stepped.gone) == (keys.SCHEMA + 1, True, [], [])
        assert (newer["result:h"], "h" in newer["tasks"], newer["ready"]) == ("record", False, {"t": place(1)})
        assert session.step(5).newer == keys.SCHEMA + 1

    @pytest.mark.parametrize(
        "code", [("P", 0, ""), ("R", 0, "1 0 - - -"), ("R", 5000, "1 0 - - -"), ("K", 0, "task:p"), ("X", 0, "")]
    )
    def test_it_settles_in_every_way(self, newer: Room, code: tuple[str, int, str]) -> None:
        what, ms, extra = code
        Session(newer.broker, "u", "s").settle([("h", "*", what, b"", ms, extra)])
        assert newer["held:u"] is None
        assert ("h" in newer["tasks"]) == (what != "X")

    def test_the_ring_that_brought_it_is_passed_on_and_no_other(self, newer: Room) -> None:
        session = Session(newer.broker, "u", "s")
        session.number = 3
        for _ in range(3):
            session.step(1)
        assert newer["bell"] == ["1"]
        newer.client.delete(newer.prefix + "ready", newer.prefix + "bell")
        session.step(1)
        assert newer["bell"] is None

    def test_it_is_told_what_it_holds_and_still_fetches_no_more(self, newer: Room) -> None:
        session = Session(newer.broker, "u", "s")
        session.number = 3
        found = session.recover([])
        assert found is not None
        assert [delivery.id for delivery in found] == ["h"]
        assert session.step(1).newer == keys.SCHEMA + 1

    def test_what_it_did_not_start_can_be_taken_back(self, newer: Room) -> None:
        newer.fill({"held:u": {"b": "4 s 7 1", "c": "4 s 8 0"}, "tasks": {"b": sync(), "c": sync()}})
        assert newer.broker.take_back("u", 4, 1) == 1
        assert newer["ready"] == {"t": place(1), "c": 8}

    def test_its_supervisor_renews_its_lease_and_sees_nothing_else(self, newer: Room) -> None:
        newer.fill({"workers": {"u": 5, "other": 5}})
        survey = newer.broker.sweep(15_000, ["u", "gone"])
        assert (survey.is_newer, survey.gone, survey.others, survey.due, survey.suspects) == (True, ["gone"], [], -1, 0)
        assert newer["workers"]["u"] > 1_000_000_000_000
        assert newer["workers"]["other"] == 5

    def test_its_supervisor_puts_back_what_a_dead_one_ran_and_keeps_what_it_does_not_know(self, newer: Room) -> None:
        newer.fill({"attempts": {"h": next_version.HISTORY}})
        newer.broker.reap("u", known_dead=True, charge=Charge('{"kind":"lost"}', ["h"], ran=2))
        assert (newer["workers"], newer["ready"]["h"]) == (None, place(3))
        assert newer["attempts"]["h"] == f'0 0 - - - 1 0 0 {next_version.WORD}\n{{"kind":"lost"}}'


class TestUpgrade:
    def test_a_queue_that_was_never_upgraded_has_the_first_schema_and_no_key_for_it(self, room: Room) -> None:
        assert (room.broker.schema(), room.contents()) == (1, {})
        room.broker.check_schema()

    def test_to_the_schema_that_it_has(self, room: Room) -> None:
        done = room.broker.upgrade()
        assert (done.before, done.now, done.older) == (keys.SCHEMA, keys.SCHEMA, [])

    def test_done_again_it_changes_nothing(self, newer: Room) -> None:
        before = newer.contents()
        assert next_version.upgrade(newer.broker.store, newer.queue.name) == [keys.SCHEMA + 1, b"u"]
        assert (newer.contents(), newer.broker.schema()) == (before, keys.SCHEMA + 1)

    def test_only_workers_that_know_less_are_kept_from_fetching(self, room: Room) -> None:
        room.fill({"workers": {"old": LATER, "new": LATER, "odd": LATER, "none": LATER}})
        room.fill({"worker:old": {"fetch": "7", "schema": keys.SCHEMA}, "worker:new": {"fetch": "9", "schema": keys.SCHEMA + 1}})
        room.client.set(room.prefix + "worker:odd", "no hash")
        answer = next_version.upgrade(room.broker.store, room.queue.name)
        assert (answer[0], set(answer[1:])) == (keys.SCHEMA, {b"old", b"odd", b"none"})
        assert (room["worker:old"]["fetch"], room["worker:new"]["fetch"]) == ("newer", "9")

    def test_places_go_on_behind_those_of_before(self, newer: Room) -> None:
        assert newer["seq"] == str(FIRST)
        assert 101 * BAND > place(FIRST + 1) > newer["ready"]["t"]

    def test_a_queue_that_has_given_more_numbers_than_a_schema_has_keeps_them(self, room: Room) -> None:
        room.fill({"seq": str(FIRST + 7)})
        assert room.broker.enqueue_one("x", sync("X").encode())
        assert (
            room.broker.enqueue([Encoded("y", "", "", sync("Y").encode()), Encoded("z", "", "", sync("Z").encode())])
            == [True] * 2
        )
        next_version.upgrade(room.broker.store, room.queue.name)
        assert room["seq"] == str(FIRST + 10)

    @pytest.mark.parametrize("wrong", ["workers", "seq", f"schema:{keys.SCHEMA + 1}"])
    def test_a_key_of_the_wrong_type_stops_it_before_anything_has_changed(self, room: Room, wrong: str) -> None:
        room.client.sadd(room.prefix + wrong, "x")
        before = room.contents()
        with pytest.raises(hotqueue.ConfigError):
            next_version.upgrade(room.broker.store, room.queue.name)
        assert room.contents() == before

    def test_clearing_the_messages_leaves_it(self, newer: Room) -> None:
        newer.queue.put("message")
        assert newer.queue.get() == "message"
        newer.queue.clear()
        assert newer.broker.schema() == keys.SCHEMA + 1


@pytest.mark.parametrize("value", [next_version.HISTORY, '1 2 task:x 77 R 3 4 5 next more\n{"at":1}'])
def test_what_a_newer_version_put_behind_the_numbers_stays(room: Room, value: str) -> None:
    read = history.decode(value.encode())
    assert read.encode() == value
    assert read.after_retry(None).encode().partition("\n")[0].endswith(" next" if read.retries == 0 else " next more")
    room.fill({"tasks": {"t": sync("T")}, "held:w": {"t": f"1 s {place(7)}"}, "attempts": {"t": value}, "workers": {"w": LATER}})
    Session(room.broker, "w", "s").settle([("t", "*", "K", b"", 0, "task:y")])
    assert history.decode(room["attempts"]["t"].encode()).unknown == read.unknown
