"""Many queues are read together, each as its own counts say; one that cannot be read hides none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import crowd
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def test_each_is_as_its_own_counts_say(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other, none = (make_queue(f"{queue_name}-{n}") for n in "abc")
    task = task_by_name(queue, "shop.price")
    for n in range(3):
        task.delay(n)
    task.apply_async((9,), countdown=3600)
    queue.put("x")
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
