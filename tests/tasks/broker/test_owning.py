"""Results that tasks own: there as long as an owner is, in whatever order things happen, and nothing left over after that.

Of this kind: each way a task ends (settled, dead, revoked, expired, discarded, thrown out of a full dead list); owning before,
after and while a result comes; owning what has gone; letting go of much; retrying an owner or what it owns; forgetting; no result
to keep. At random: test_owning_at_random.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hotqueue
from hotqueue.errors import ConfigError, HotQueueError
from hotqueue.sizes import DEAD_TASKS
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.rules import history
from hotqueue.tasks.wire.settlement import Settlement
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, sync

only_server = pytest.mark.servers("server")
LUA = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"
HOUR = 3_600_000


def sent(room: Room, *ids: str, due: str = "", expires: str = "") -> None:
    assert all(room.broker.enqueue([Encoded(each, due, expires, sync(each).encode())])[0] for each in ids)


def working(room: Room, *ids: str) -> Session:
    """Return the session of a worker that has fetched these tasks, which are sent now."""
    sent(room, *ids)
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    assert [delivery.id for delivery in session.step(len(ids)).deliveries] == list(ids)
    return session


def end(session: Session, task_id: str, code: str = "S", ms: int = HOUR, extra: str = "") -> None:
    blob = b"" if code == "X" else b"end of " + task_id.encode()
    assert session.settle([Settlement(task_id, "*", code, blob, ms, extra)]).gone == []


def is_kept(room: Room, task_id: str) -> bool:
    return room[f"result:{task_id}"] is not None and room.ttl(f"result:{task_id}") == -1


@only_server
@pytest.mark.parametrize("is_early", [True, False], ids=["before it ends", "after it ended"])
def test_a_result_stays_until_its_owner_has_ended_and_then_for_the_rest_of_its_time(room: Room, is_early: bool) -> None:
    session = working(room, "in", "owner")
    if is_early:
        assert room.broker.own("owner", ["in"]) == ("T", True)
    end(session, "in")
    if not is_early:
        assert room.broker.own("owner", ["in"]) == ("R", True)
    assert is_kept(room, "in")
    end(session, "owner")
    assert HOUR - 5000 < room.ttl("result:in") <= HOUR
    assert (room["owned"], room["owned:over"]) == (None, None)


@only_server
def test_one_whose_time_is_over_goes_with_its_owner(room: Room) -> None:
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    end(session, "in", ms=1)
    wait_until(lambda: int(room["owned"]["in"].split()[1]) < session.step(0).now)
    assert is_kept(room, "in")
    end(session, "owner")
    assert (room["result:in"], room["owned"]) == (None, None)


@only_server
def test_it_stays_until_the_last_of_its_owners_has_ended(room: Room) -> None:
    session = working(room, "in", "one", "two")
    end(session, "in")
    for owner in ("one", "two", "one"):  # said again, it is what it was
        assert room.broker.own(owner, ["in"]) == ("R", True)
    end(session, "one")
    assert is_kept(room, "in")
    end(session, "two")
    assert room.ttl("result:in") > 0


def revoke(room: Room, session: Session) -> None:
    room.broker.revoke("owner", b"revoked", HOUR)


def expire(room: Room, session: Session) -> None:
    wait_until(lambda: room.broker.expire_all() == ["owner"])


def fail_and_discard(room: Room, session: Session) -> None:
    assert [delivery.id for delivery in session.step(1).deliveries] == ["owner"]
    end(session, "owner", "D", extra="{}")
    assert is_kept(room, "in")
    room.broker.discard(["owner"])


def fail_and_be_forgotten(room: Room, session: Session) -> None:
    assert [delivery.id for delivery in session.step(1).deliveries] == ["owner"]
    end(session, "owner", "D", extra="{}")
    room.client.zadd(room.prefix + "dead", {f"other{n}": 9e12 for n in range(DEAD_TASKS)})
    end(session, "another", "D", extra="{}")


WAYS = [revoke, expire, fail_and_discard, fail_and_be_forgotten]


@only_server
@pytest.mark.parametrize("code", ["S", "X", "E"])
def test_an_owner_that_is_settled_lets_go(room: Room, code: str) -> None:
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    end(session, "in")
    end(session, "owner", code)
    assert room.ttl("result:in") > 0
    assert room["owned"] is None


@only_server
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_ends_an_owner_lets_go(room: Room, way: Any) -> None:
    session = working(room, "in", "another")
    sent(room, "owner", expires="+50" if way is expire else "")
    assert room.broker.own("owner", ["in"]) == ("T", True)
    end(session, "in")
    assert is_kept(room, "in")
    way(room, session)
    assert room.ttl("result:in") > 0
    assert room["owned"] is None


@only_server
@pytest.mark.parametrize("way", [revoke, expire], ids=lambda way: way.__name__)
def test_what_is_owned_may_end_in_any_way(room: Room, way: Any) -> None:
    session = working(room, "later")
    sent(room, "owner", expires="+50" if way is expire else "")  # here it is what is owned
    room.broker.own("later", ["owner"])
    way(room, session)
    assert is_kept(room, "owner")
    end(session, "later")
    assert room.ttl("result:owner") > 0


@only_server
def test_a_dead_owner_that_is_retried_finds_what_it_owned(room: Room) -> None:
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    end(session, "in", ms=1)
    end(session, "owner", "D", extra="{}")
    assert room.broker.own("owner", ["in"]) == ("R", True)
    room.broker.revive(["owner"])
    assert is_kept(room, "in")
    assert session.step(1).deliveries[0].id == "owner"
    end(session, "owner")
    wait_until(lambda: room["result:in"] is None)


@only_server
def test_a_dead_one_that_is_owned_and_retried_is_waited_for(room: Room) -> None:
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    end(session, "in", "D", extra="{}")
    assert is_kept(room, "in")
    room.broker.revive(["in"])
    assert (room["result:in"], room["owned"]["in"]) == (None, "1 -")
    session.step(1)
    end(session, "in")
    assert is_kept(room, "in")
    end(session, "owner")
    assert room.ttl("result:in") > 0


@only_server
def test_a_dead_one_that_is_not_there_to_be_discarded_owns_what_it_did(room: Room) -> None:
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    room.broker.discard(["owner"])
    end(session, "in")
    assert is_kept(room, "in")
    end(session, "owner")


@only_server
def test_who_owns_what_is_not_there_is_told(room: Room) -> None:
    session = working(room, "owner", "without", "dead", "short")
    end(session, "without", "X")
    end(session, "dead", "D", ms=1, extra="{}")
    end(session, "short", ms=1)
    wait_until(lambda: room["result:dead"] is None and room["result:short"] is None)
    ids = ["without", "dead", "short", "never"]
    assert room.broker.own("owner", ids) == ("DXUU", False)
    assert room["owned"] is None
    assert room.broker.own("owner", ids, must_exist=False) == ("DXUU", True)
    assert room["owned"]["without"] == "1 x"
    sent(room, "never")  # it was to come
    assert session.step(1).deliveries[0].id == "never"
    end(session, "never")
    assert is_kept(room, "never")
    end(session, "owner")
    assert room["owned"] is None


@only_server
def test_only_what_exists_owns(room: Room) -> None:
    session = working(room, "in")
    end(session, "in")
    assert room.broker.own("nobody", ["in"]) == ("R", False)
    assert room.broker.own("in", ["in"]) == ("R", False)
    assert (room["owned"], room.ttl("result:in") > 0) == (None, True)


@only_server
def test_what_a_part_is_cannot_be_said_otherwise(room: Room) -> None:
    session = working(room, "a", "b", "owner")
    room.broker.own("owner", ["a"])
    for ids, part in ((["b"], 0), (["b"], 2), ([], 1)):
        with pytest.raises(HotQueueError):
            room.broker.own("owner", ids, part=part)
    assert room.broker.own("owner", ["b", "b"], part=1) == ("TT", True)
    assert room["owned"] == {"a": "1 -", "b": "2 -", "\nowner": "a\n", "\nowner\n1": "b\nb\n"}
    end(session, "owner")
    assert room.broker.let_go() == 0
    assert room["owned"] is None


@only_server
def test_much_is_let_go_of_in_portions_by_whoever_comes(room: Room) -> None:
    ids = [f"in{n}" for n in range(2500)]
    session = working(room, "owner")
    for part, start in enumerate(range(0, 2500, 1000)):
        room.broker.own("owner", ids[start : start + 1000], part=part, must_exist=False)
    end(session, "owner")
    assert [len(part.split()) for part in room["owned:over"]] == [1000, 1000, 500]
    assert set(room["owned"]) == set(ids)
    sent(room, "in0")
    session.step(1)
    end(session, "in0")
    assert is_kept(room, "in0")
    assert room.broker.let_go(1) == 2
    assert room.ttl("result:in0") > 0
    assert room.broker.let_go() == 0
    assert (room["owned"], room["owned:over"]) == (None, None)


@only_server
def test_one_script_lets_go_of_so_many_and_no_more(room: Room) -> None:
    owners = [f"owner{n}" for n in range(5)]
    session = working(room, *owners)
    for owner in owners:
        room.broker.own(owner, [f"{owner}-in{n}" for n in range(40)], must_exist=False)
    session.settle([Settlement(owner, "*", "S", b"end", HOUR, "") for owner in owners])
    assert len(room["owned:over"]) == 3
    assert room.broker.let_go() == 0
    assert room["owned"] is None


@only_server
def test_whoever_forgets_a_result_takes_it_from_nobody(room: Room) -> None:
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    room.broker.forget("in")
    end(session, "in")
    room.broker.forget("in")
    assert is_kept(room, "in")
    end(session, "owner")
    assert room["result:in"] is None
    room.broker.forget("owner")
    assert room["result:owner"] is None


@only_server
def test_a_fetch_says_whose_results_are_owned(room: Room) -> None:
    sent(room, "owner", "in", "other")
    room.broker.own("owner", ["in"])
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    found = {delivery.id: history.decode(delivery.history).verdict for delivery in session.step(3).deliveries}
    assert found == {"owner": "-", "in": history.WANTED, "other": "-"}
    recovered = session.recover(["owner"])
    assert recovered is not None
    assert {each.id: history.decode(each.history).verdict for each in recovered} == {"in": history.WANTED, "other": "-"}
    assert room["attempts"] is None
    end(session, "in", ms=0)
    assert is_kept(room, "in")
    end(session, "owner")
    assert (room["result:in"], room["owned"]) == (None, None)
    assert room.broker.look("in").where == "done"


@only_server
def test_one_that_was_owned_too_late_to_have_a_result_says_so(room: Room) -> None:
    session = working(room, "owner", "in", "let go")
    room.broker.own("owner", ["in"])
    end(session, "in", "X")
    assert (room["owned"]["in"], room["result:in"]) == ("1 x", None)
    end(session, "owner")
    assert room["owned"] is None
    end(session, "let go", ms=0)  # its owner ended meanwhile
    assert (room["result:let go"], room.broker.look("let go").where) == (None, "done")


@only_server
def test_a_key_of_another_type_stops_what_needs_it_and_loses_nothing(room: Room) -> None:
    session = working(room, "in", "owner")
    sent(room, "waits", expires="+1")
    room.client.set(room.prefix + "owned", "junk")
    attempts: list[Callable[[], object]] = [
        lambda: room.broker.own("owner", ["in"]),
        lambda: end(session, "in"),
        lambda: room.broker.discard(["x"]),
        lambda: room.broker.revive(["x"]),
        lambda: room.broker.let_go(),
        lambda: room.broker.forget("in"),
        lambda: room.broker.revoke("waits", b"", HOUR),
        lambda: room.broker.expire([("waits", "-")]),
        lambda: session.recover([]),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match="owned"):
            attempt()
    room.client.delete(room.prefix + "owned")
    assert {*room["tasks"]} == {"in", "owner", "waits"}
    end(session, "in")
    assert room.ttl("result:in") > 0


@only_server
def test_a_list_of_another_type_stops_what_would_leave_results_to_nobody(room: Room) -> None:
    session = working(room, "owner")
    room.broker.own("owner", [f"in{n}" for n in range(500)], must_exist=False)
    sent(room, "waits")
    room.client.set(room.prefix + "owned:over", "junk")
    attempts: list[Callable[[], object]] = [
        lambda: end(session, "owner"),
        lambda: room.broker.revoke("waits", b"", HOUR),
        lambda: room.broker.let_go(),
        lambda: room.broker.mend_owners(),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match="owned:over"):
            attempt()
    assert {*room["tasks"]} == {"owner", "waits"}
    room.client.delete(room.prefix + "owned:over")
    end(session, "owner")
    room.broker.let_go()
    assert room["owned"] is None


@only_server
def test_owners_that_somebody_deleted_let_go_when_they_are_looked_for(room: Room) -> None:
    session = working(room, "in", "owner", "other")
    room.broker.own("owner", ["in"])
    room.broker.own("other", [f"in{n}" for n in range(600)], must_exist=False)
    sent(room, *(f"living{n}" for n in range(300)))
    assert all(room.broker.own(f"living{n}", ["in"])[1] for n in range(300))
    end(session, "in", ms=1)
    assert room.broker.mend_owners() == 0
    room.client.hdel(room.prefix + "tasks", "owner", "other")
    assert room.broker.mend_owners() == 2
    assert is_kept(room, "in")
    room.client.delete(room.prefix + "tasks")
    assert room.broker.mend_owners() == 300
    room.broker.let_go()
    assert (room["owned"], room["owned:over"], room["result:in"]) == (None, None, None)


@only_server
def test_junk_is_nobodys(room: Room) -> None:
    session = working(room, "in", "owner")
    room.fill({"owned": {"in": "junk", "\nowner": "no newline", "\nowner\n1": "\n\n", "": "", "other": "1"}})
    end(session, "in")
    assert room.ttl("result:in") > 0
    end(session, "owner")
    assert room.broker.let_go() == 0


@only_server
def test_a_queue_in_which_nothing_is_owned_is_asked_no_question_more(room: Room) -> None:
    """Whether anything is, a step asks with what it asks for anyway; enqueueing and waiting do not."""
    mark = f"{room.prefix}mark"
    with room.client.monitor() as monitor:
        session = working(room, "a", "b")
        room.broker.wait(["a"], "c")
        session.settle([Settlement("a", 1, "S", b"end", HOUR, "")])
        end(session, "b")
        room.client.exists(mark)
        told = []
        while not told or mark not in told[-1]["command"]:
            told.append(monitor.next_command())
    inside = [each["command"] for each in told if each["client_type"] == "lua"]
    about = [command for command in inside if "}:owned" in command]
    assert len(inside) > 20
    assert {command.split()[0].lower() for command in about} == {"exists"}
    assert all("}:attempts" in command for command in about)


@pytest.mark.parametrize("script", sorted(path.relative_to(LUA).as_posix() for path in LUA.rglob("*.lua")))
def test_no_other_script_writes_results_or_who_owns_them(script: str) -> None:
    text = re.sub(r"--.*", "", (LUA / script).read_text())
    if script not in ("shared/owning.lua", "shared/results.lua"):
        assert not re.search(
            r"redis\.p?call\('(?!EXISTS)\w+', (result|result_of|results|RESULTS)\b", re.sub(r"'GET(RANGE)?', result", "", text)
        )
    if script != "shared/owning.lua":
        assert not re.search(r"redis\.p?call\('(?!EXISTS')\w+', owned\b", text, re.IGNORECASE)


@only_server
def test_one_that_ran_twice_and_ended_without_a_result_leaves_none(room: Room) -> None:
    """It was restored while its first run went on: what that left is not of its end."""
    session = working(room, "in", "owner")
    room.broker.own("owner", ["in"])
    room.client.set(room.prefix + "result:in", "of the first run")
    end(session, "in", "X")
    end(session, "owner", "X")
    assert room["result:in"] is None


@only_server
def test_many_owners_of_many_that_end_together_are_left_to_upkeep(room: Room) -> None:
    owners = [f"o{n}" for n in range(20)]
    session = working(room, *owners)
    names = [f"in{n}" for n in range(500)]
    for owner in owners:
        room.broker.own(owner, names, must_exist=False)
    session.settle([Settlement(owner, "*", "X", b"", 0, "") for owner in owners])
    assert len(room["owned:over"]) == 20
    assert room.broker.let_go() == 0
    assert room["owned"] is None
