"""The workers of many queues are read together, as they are read one queue after another."""

from __future__ import annotations

from collections.abc import Callable

from hotqueue import HotQueue
from hotqueue.monitor import crowd
from hotqueue.monitor.crew import SHOWN, Known, crew
from hotqueue.monitor.workers import workers
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.elsewhere import task_by_name


def registered(store: Store, names: list[str]) -> dict[str, bytes]:
    return {each.facts.name: each.registered for each in crowd.look(store, names)}


def test_each_is_as_it_is_alone_with_the_first_of_what_it_has_in_hand(
    make_queue: Callable[..., HotQueue], queue_name: str
) -> None:
    queue, other = make_queue(), make_queue(f"{queue_name}-b")
    store, names = queue._store, [queue.name, other.name]
    sessions = [Session(Broker(store, name), "w-1", "s") for name in names]
    sessions.append(Session(Broker(store, queue.name), "w-2", "a"))
    for session in sessions:
        session.register(60_000, {"host": "h", "pid": "7", "name": session.worker, "supervisor": "boss"})
    for n in range(SHOWN + 3):
        task_by_name(queue, "shop.price").delay(n)
    sessions[0].step(room=SHOWN + 3)
    known = Known()
    found, alone = crew(store, registered(store, names), known), workers(store, names)
    assert [(each.id, each.name, each.program, each.queues, each.held) for each in found] == [
        ("w-1", "w-1", "boss", names, SHOWN + 3),
        ("w-2", "w-2", "boss", [queue.name], 0),
    ]
    assert [(each.id, each.since, each.fetched, each.is_overdue) for each in found] == [
        (each.id, each.since, each.fetched, each.is_overdue) for each in alone
    ]
    assert found[0].in_hand == alone[0].in_hand[:SHOWN]
    again = crew(store, registered(store, names), known)  # of what is known
    assert again == found
    for session in sessions:
        session.broker.reap(session.worker, known_dead=True)
    queue.purge()
    assert crew(store, registered(store, names), known) == []
    assert (known.said, known.named) == ({}, {})
