"""The queues that children have named, together: how much waits for its time, and which are paused.

That two processes that name one queue mean one: tests/cli/test_given_clients.py.
"""

from __future__ import annotations

import pytest

from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.supervisor.served_queues import Queues
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


def test_what_is_scheduled_and_who_is_paused_is_asked_of_all(room: Room) -> None:
    queues = Queues()
    broker = queues.broker_of(room.queue.name, room.queue._store)
    assert (queues.scheduled(), queues.paused()) == (0, [])
    broker.enqueue([Encoded(each, "+60000", "", sync().encode()) for each in "tu"])
    broker.pause()
    assert (queues.scheduled(), queues.paused()) == (2, [room.queue.name])


def test_of_what_cannot_be_reached_nothing_is_said() -> None:
    queues = Queues()
    store = Store(resolve(url="redis://127.0.0.1:1/0"))
    queues.broker_of("q", store)
    store.patience = 0.1
    assert (queues.scheduled(), queues.paused()) == (None, [])
    store.close()
