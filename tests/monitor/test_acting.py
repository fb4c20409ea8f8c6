"""What is done to queues of a store needs none of their code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.acting import queue_at

pytestmark = pytest.mark.servers("server", "cluster")


def test_a_queue_is_that_of_the_store_over_its_connections(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    found = queue_at(queue._store, queue.name)
    assert found._store is queue._store
    sent = found.send("shop.price", (1,))
    assert queue.pending() == 1
    assert queue.result(sent.id).state == "PENDING"
    assert found.purge() == 1
