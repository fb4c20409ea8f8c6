"""A task that waits past its `expires` ends, wherever it waits and whoever is there; all who look agree on it.

Of the kind: ready behind others, scheduled, parked (for a task, a Python, a wire version that no worker here has), suspect, in a
paused queue, in one without any worker, where whoever looks ends it: `state`, `get`, `pending`, `why`, `hotwatch`. Not one that
runs, which goes on, and is looked at again should it come back. No key forgets it, and none remembers it for longer.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, SignatureError, TaskExpired
from hotqueue.monitor import inventory
from hotqueue.tasks.broker import revoking
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.wire import envelope
from tests.crash.test_data_faults import newer
from tests.support.durations import let_pass
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room, coro, place, sync

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]
SOON = 0.05  # seconds
PLACES = ("ready", "ready:async", "suspects", "scheduled", "parked:task:x")


def now() -> int:
    return int(time.time() * 1000)


def waiting(room: Room, where: str, expires: int | None = None, task_id: str = "t") -> Room:
    """Have a task wait somewhere past its expiry."""
    need = where.removeprefix("parked:") if where.startswith("parked:") else "-"
    expires = now() - 1000 if expires is None else expires
    room.fill({"tasks": {task_id: sync()}, "attempts": {task_id: f"0 0 {need} {expires} -"}, "expiring": {task_id: expires}})
    return room.fill({where: {task_id: place(1)}, **({"needs": [need]} if need != "-" else {})})


def is_nowhere(room: Room) -> bool:
    return not set(room.contents()) & {"tasks", "attempts", "expiring", "revoked", "needs", "waiters", *PLACES}


@pytest.mark.parametrize("where", PLACES)
class TestWhereverItWaits:
    def test_whoever_looks_ends_it(self, room: Room, where: str) -> None:
        waiting(room, where).fill({"waiters": {"t": room.prefix + "reply:c"}})
        result = room.queue.result("t")
        assert result.state is State.REVOKED
        with pytest.raises(TaskExpired, match=r"1\.\d s after its expires"):
            result.get(timeout=1)
        assert is_nowhere(room)
        assert room["reply:c"][0].startswith("Rt\0E")
        assert 3_500_000 < room.ttl("result:t") <= 3_600_000
        assert room["stats"] == {"expired": 1}

    def test_it_is_said_whether_it_ever_ran(self, room: Room, where: str) -> None:
        waiting(room, where)
        with pytest.raises(TaskExpired, match="it never ran"):
            room.queue.result("t").get(timeout=1)
        room.client.flushdb()
        waiting(room, where)
        head = room["attempts"]["t"].replace("0 0 ", "2 1 ", 1)
        room.fill({"attempts": {"t": f"{head} 1 0 0"}})
        with pytest.raises(TaskExpired, match="it is not run again, after 4 tries"):
            room.queue.result("t").get(timeout=1)

    def test_whoever_counts_ends_it(self, room: Room, where: str) -> None:
        waiting(room, where)
        assert (room.queue.pending(), room.queue.running(), room.queue.scheduled()) == (0, 0, 0)
        assert is_nowhere(room)
        assert room.queue.result("t").state is State.REVOKED

    def test_upkeep_ends_it(self, room: Room, where: str) -> None:
        waiting(room, where)
        Upkeep([room.broker], 15_000).beat()
        assert is_nowhere(room)

    def test_a_loop_that_looks_ends_it(self, room: Room, where: str) -> None:
        waiting(room, where)
        assert asyncio.run(room.broker.alook("t")).where == "result"
        assert is_nowhere(room)

    def test_before_its_time_it_waits(self, room: Room, where: str) -> None:
        before = waiting(room, where, expires=now() + 60_000).contents()
        assert room.broker.look("t").where != "result"
        assert room.queue.pending() == 1
        Upkeep([room.broker], 15_000).beat()
        room.broker.expire([("t", "task:x" if where.startswith("parked") else "-")])
        assert {key: value for key, value in room.contents().items() if "bell" not in key} == before


def test_one_that_a_worker_has_in_hand_goes_on_and_is_looked_at_again(room: Room) -> None:
    expires = now() - 1000
    room.fill({"tasks": {"t": sync()}, "attempts": {"t": f"0 0 - {expires} -"}, "expiring": {"t": expires}})
    room.fill({"held:w": {"t": f"1 s {place(1)} 0"}})
    assert (room.queue.result("t").state, room.queue.pending(), room.queue.running()) == ("STARTED", 0, 1)
    assert 3000 < room["expiring"]["t"] - now() <= 6000
    room.client.delete(room.prefix + "held:w")
    room.fill({"ready": {"t": place(1)}})
    assert room.queue.result("t").state is State.REVOKED
    assert is_nowhere(room)


def test_what_has_no_task_or_no_expiry_any_more_is_forgotten(room: Room) -> None:
    room.fill({"tasks": {"kept": sync()}, "ready": {"kept": 1}, "expiring": {"kept": 5, "gone": 6}})
    assert room.queue.pending() == 1
    assert room["expiring"] is None


def test_very_many_end_in_batches(room: Room) -> None:
    many = {f"t{n}": n + 1 for n in range(2500)}
    assert (room.broker.expire_all(), room.broker.expire([("t", "-")])) == ([], [])  # the server has the scripts now
    room.fill({"tasks": dict.fromkeys(many, sync()), "attempts": {each: f"0 0 - {n} -" for each, n in many.items()}})
    room.fill({"expiring": many, "ready": many})
    room.client.config_resetstat()
    assert len(room.broker.expire_all()) == 2500
    assert room.client.info("commandstats")["cmdstat_evalsha"]["calls"] == 21
    assert is_nowhere(room)
    assert room["stats"] == {"expired": 2500}
    assert len([key for key in room.contents() if key.startswith("result:")]) == 2500


def test_however_many_have_expired_one_look_ends_a_bounded_number(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoking, "EXPIRED", 1000)
    many = {f"t{n}": n + 1 for n in range(2500)}
    room.fill({"tasks": dict.fromkeys(many, sync()), "attempts": {each: f"0 0 - {n} -" for each, n in many.items()}})
    room.fill({"expiring": many, "ready": many})
    room.queue.result("t2499").state  # noqa: B018 # the server has the scripts then
    room.client.config_resetstat()
    assert room.queue.pending() == 1499
    assert room.client.info("commandstats")["cmdstat_evalsha"]["calls"] <= 9
    assert [room.queue.pending(), room.queue.pending()] == [499, 0]


def test_a_race_with_parking_is_run_once_more(room: Room) -> None:
    waiting(room, "parked:task:x")
    assert room.broker.expire([("t", "-")]) == []
    assert room.broker.expire([("t", "task:x")]) == ["t"]
    assert is_nowhere(room)


# --- as programs see it ----------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_tasks_that_end_in_time(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = [queue.task(sample.double).apply_async((n,), expires=60) for n in range(5)]
    results += [queue.task(retries=1, retry_backoff=0.01)(sample.flaky).apply_async((1,), expires=60)]
    results += [queue.task(sample.boom).apply_async((), expires=60)]
    revoked = queue.task(sample.double).apply_async((9,), expires=60)
    assert len(Room(queue)["expiring"]) == 8
    assert revoked.revoke() == "revoked"
    wait_until(lambda: queue.run_worker(burst=True) is not None and all(r.ready() for r in results))
    assert Room(queue)["expiring"] is None
    queue.discard_dead(all=True)


def test_all_who_look_agree_though_no_worker_is_there(make_queue: MakeQueue) -> None:
    queue = make_queue()
    double = queue.task(sample.double)
    double.delay(1)
    ready = double.apply_async((2,), expires=SOON)
    later = double.apply_async((3,), expires=SOON, countdown=60)
    let_pass(2 * SOON)
    assert queue.pending() == 1
    assert inventory.length(queue._store, queue.name).tasks == 1
    assert {ready.state, later.state} == {State.REVOKED}
    assert (queue.scheduled(), queue.running()) == (0, 0)
    for result in (ready, later):
        with pytest.raises(TaskExpired):
            result.get(timeout=1)
    queue.run_worker(burst=True)


def test_who_waits_before_it_expires_is_told(make_queue: MakeQueue) -> None:
    result = make_queue().task(sample.double).apply_async((1,), expires=0.3, countdown=60)
    with pytest.raises(TaskExpired):
        result.get(timeout=30)


@pytest.mark.parametrize("need", ["task", "wire"])
def test_a_parked_one_ends_beside_workers_that_cannot_run_it(make_queue: MakeQueue, need: str) -> None:
    """Nobody asks for it: the upkeep of a worker ends it, and the one that waits is told."""
    ours, theirs = make_queue(), make_queue()
    if need == "task":
        result = theirs.task(name="unknown")(sample.double).apply_async((1,), expires=1)
    else:
        result = theirs.task(sample.double).apply_async((1,), expires=1)
        room = Room(theirs)
        data = room.client.hget(room.prefix + "tasks", result.id)
        room.client.hset(room.prefix + "tasks", result.id, newer(data))
    double = ours.task(sample.double)
    done = double.delay(1)
    worker = threading.Thread(target=ours.run_worker, kwargs={"max_tasks": 3}, daemon=True)
    worker.start()
    assert done.get(30) == 2
    room = Room(ours)
    wait_until(lambda: room["needs"], what="it is parked")
    wait_until(lambda: not room["tasks"] and not room["needs"] and not room["expiring"], what="it has ended")
    with pytest.raises(TaskExpired):
        result.get(timeout=1)
    double.delay(3).get(30)
    worker.join(10)


def test_a_worker_that_cannot_read_it_ends_it_rather_than_park_it_again(make_queue: MakeQueue) -> None:
    queue = make_queue()
    room = Room(queue)
    newer = chr(envelope.WIRE_VERSION + 1) + sync()[1:]
    room.fill({"tasks": {"t": newer, "junk": sync()}, "ready": {"t": 1, "junk": 2}})
    room.fill({"attempts": {"t": "0 0 - 5 -", "junk": "0 0 - 5 -"}})
    queue.run_worker(burst=True)
    assert {queue.result(each).state for each in ("t", "junk")} == {State.REVOKED}
    assert list(queue.dead()) == []


def test_a_secret_key_hinders_nobody_to_end_it_and_protects_what_is_loaded(make_queue: MakeQueue) -> None:
    """A supervisor knows no key. What it writes says when, and nothing that anyone loads."""
    queue = make_queue(secret_key="one")
    result = queue.task(sample.double).apply_async((1,), expires=0)
    Upkeep([queue._tasks.broker], 15_000).beat()
    with pytest.raises(TaskExpired):
        result.get(timeout=1)
    room = Room(queue)
    for forged in (b"E5 6 7 and more", b"E5 6", b"E5", b"E", b"Efive 6 7", b"E5 6 7\n"):
        room.client.set(f"{room.prefix}result:{result.id}", forged, ex=60)
        with pytest.raises(SignatureError):
            queue.result(result.id).get(timeout=1)


def test_inside_testing_all_agree_as_well() -> None:
    queue = HotQueue("in-place", url="redis://127.0.0.1:1")
    double = queue.task(sample.double)
    with queue.testing():
        queue.pause()
        gone: list[Any] = [double.apply_async((n,), expires=0) for n in range(3)]
        kept = double.apply_async((9,), expires=60)
        assert queue.pending() == 1
        with pytest.raises(TaskExpired):
            gone[0].get()
        assert {result.state for result in gone} == {State.REVOKED}
        queue.resume()
        assert kept.get() == 18


def test_tasks_of_both_kinds(room: Room) -> None:
    waiting(room, "ready:async").fill({"tasks": {"t": coro()}})
    assert room.queue.pending() == 0
    assert is_nowhere(room)
