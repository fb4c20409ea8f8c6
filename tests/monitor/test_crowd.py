"""Many queues are read together, each as its own counts say; one that cannot be read hides none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import crowd
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def fill(queue: HotQueue) -> None:
    """Have three tasks wait, one for its time, and a message."""
    task = task_by_name(queue, "shop.price")
    for n in range(3):
        task.delay(n)
    task.apply_async((9,), countdown=3600)
    queue.put("x")


def test_each_is_as_its_own_counts_say(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other, none = (make_queue(f"{queue_name}-{n}") for n in "abc")
    fill(queue)
    session = Session(Broker(queue._store, queue.name), "w-1", "s")
    session.register(60_000, {"host": "h", "pid": "1"})
    session.step(room=1)
    other.put("x")
    other.pause()
    queue.pause("shop.none")
    first, second, third = crowd.queues(queue._store, [queue.name, other.name, none.name])
    counts = Broker(queue._store, queue.name).counts()
    assert {
        what: getattr(first, what)
        for what in ("unfinished", "ready", "suspects", "scheduled", "blocked", "steps", "parked", "dead")
    } == {what: counts[what] for what in ("unfinished", "ready", "suspects", "scheduled", "blocked", "steps", "parked", "dead")}
    assert (first.running, first.waiting, first.scheduled, first.messages, first.workers, first.items) == (1, 2, 1, 1, 1, 5)
    assert (first.paused_tasks, first.is_paused, second.is_paused, second.messages) == (("shop.none",), False, True, 1)
    assert third == crowd.QueueFacts(none.name)
    session.broker.reap("w-1", known_dead=True)
    for each in (queue, other):
        each.resume()
        each.clear()
    queue.resume("shop.none")
    queue.purge()


def test_it_is_so_also_where_nothing_is_paused_and_nothing_rare_is_there(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other, idle = (make_queue(f"{queue_name}-{n}") for n in "abc")
    fill(queue)
    other.put("y")
    sessions = [
        Session(Broker(queue._store, name), "w\n1" if name == idle.name else "w-1", "s") for name in (queue.name, idle.name)
    ]
    for session in sessions:
        session.register(60_000, {"host": "h", "pid": "1"})
    sessions[0].step(room=1)
    names = [queue.name, other.name, idle.name, f"{queue_name}-none"]
    plain = crowd.look(queue._store, names)
    for name in names[:3]:
        queue._store.command(keys.paused_keys(name), "HSET", keys.paused_keys(name), "gate", "1")
    full = crowd.look(queue._store, names)
    assert [isinstance(each.reply, bytes) for each in (*plain, *full)] == [True, True, True, False] + 4 * [False]
    assert [replace(each.facts, paused_keys=()) for each in full] == [each.facts for each in plain]
    assert [each.registered for each in full] == [each.registered for each in plain]
    first = plain[0].facts
    assert (first.running, first.waiting, first.scheduled, first.messages, first.workers, first.items) == (1, 2, 1, 1, 1, 5)
    assert plain[2].registered.startswith(b"w\n1\n")
    for session in sessions:
        session.broker.reap(session.worker, known_dead=True)
    for name in names[:3]:
        queue._store.command(keys.paused_keys(name), "DEL", keys.paused_keys(name))
    other.clear()
    queue.purge()


@pytest.mark.servers("server")
def test_one_that_is_newer_or_wrong_hides_no_other(make_queue: MakeQueue, queue_name: str) -> None:
    newer, wrong, fine = (make_queue(f"{queue_name}-{n}") for n in "abc")
    store = fine._store
    fine.put("x")
    for key, value in ((keys.schema(newer.name, keys.SCHEMA + 1), "1"), (keys.dead(wrong.name), "text")):
        store.command(key, "SET", key, value, "PX", 60_000)
    found = crowd.queues(store, [newer.name, wrong.name, fine.name])
    assert found[0].is_newer
    assert f"queue '{wrong.name}'" in found[1].refused
    assert found[2].messages == 1
    assert not found[2].refused
    fine.clear()


def test_the_server_says_how_it_is(make_queue: MakeQueue) -> None:
    found = crowd.server(make_queue()._store)
    assert found.version.split()[0] in ("Redis", "Valkey")
    assert found.memory > 0
    assert found.clients > 0
