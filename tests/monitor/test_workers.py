"""Workers are listed once each, with their queues and what they have in hand; what others wrote there breaks nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from hotqueue import HotQueue, __version__
from hotqueue.monitor.workers import workers
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def test_each_is_listed_once_with_what_it_has_in_hand(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other = make_queue(), make_queue(f"{queue_name}-b")
    store = queue._store
    facts = {"host": socket.gethostname(), "pid": str(os.getpid()), "name": "web", "kind": "s", "version": __version__}
    sessions = [Session(Broker(store, name), "w-1", "s") for name in (queue.name, other.name)]
    for session in sessions:
        session.register(60_000, {**facts, "supervisor": "boss"})
    task_by_name(queue, "shop.price").delay(1)
    sessions[0].step(room=5)
    (found,) = workers(store, [queue.name, other.name])
    assert (found.id, found.name, found.program, found.pid, found.version) == ("w-1", "web", "boss", os.getpid(), __version__)
    assert found.queues == [queue.name, other.name]
    assert [(each.task, each.queue) for each in found.in_hand] == [("shop.price", queue.name)]
    assert (found.is_overdue, found.shown, found.since is not None) == (False, "web", True)
    assert found.as_json()["in_hand"][0]["task"] == "shop.price"
    if os.path.exists("/proc/self/statm"):
        assert found.memory_bytes
    for session in sessions:
        session.broker.reap("w-1", known_dead=True)
    queue.purge()
    assert workers(store, [queue.name, other.name]) == []


@pytest.mark.servers("server")
def test_one_on_another_host_takes_memory_that_nobody_here_can_tell(make_queue: MakeQueue) -> None:
    queue = make_queue()
    session = Session(Broker(queue._store, queue.name), "w-1", "a")
    session.register(60_000, {"host": "elsewhere", "pid": "1"})
    (found,) = workers(queue._store, [queue.name])
    assert (found.memory_bytes, found.shown, found.program) == (None, "elsewhere:1", "w-1")
    session.broker.reap("w-1", known_dead=True)
