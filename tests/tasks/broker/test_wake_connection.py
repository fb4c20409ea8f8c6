"""A ring that is taken by whoever never comes for the task: a worker that is stopped (Ctrl-Z, SIGSTOP, a frozen container).

The kind: what is sent to one may be lost with it, and must not be lost to the others. The next task that is sent, and each sweep,
rings for those before as well, so that healthy workers wake up however many are stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue
from hotqueue.store.blocking import Blocking
from tests.support.waiting import wait_until

STOPPED = 2

Send = Callable[[HotQueue], None]


def send_one(queue: HotQueue) -> None:
    queue.task(_nothing).delay()


def send_several(queue: HotQueue) -> None:
    queue.task(_nothing).map([1])


def send_for_later(queue: HotQueue) -> None:
    queue.task(_nothing).apply_async(countdown=0.001)
    wait_until(lambda: queue._tasks.broker.promote() == -1, what="it is promoted")


def _nothing(_x: int = 0) -> None: ...


@pytest.fixture
def queue(make_queue: Callable[..., HotQueue]) -> HotQueue:
    return make_queue()


@pytest.fixture
def listeners(queue: HotQueue) -> Iterator[list[Blocking]]:
    """Those who sleep at the bell, in the order in which Redis serves them: the first ones are stopped, the last is not."""
    broker = queue._tasks.broker
    lines = [broker.blocking(30) for _ in range(STOPPED + 1)]
    for line in lines:
        number = line.call("CLIENT", "ID")
        line.send("BLPOP", broker.bell_key("s"), 30)
        wait_until(lambda number=number: _sleeps(queue, number), what="it sleeps")  # type: ignore[misc]
    yield lines
    for line in lines:
        line.close()


def _sleeps(queue: HotQueue, number: int) -> bool:
    listed: bytes = queue._store.command(queue._tasks.broker.bell_key("s"), "CLIENT", "LIST", "ID", number)
    return b"cmd=blpop" in listed


def rings_for(listener: Blocking) -> bool:
    return bool(listener._connection.can_read(timeout=1))


@pytest.mark.parametrize("send", [send_one, send_several, send_for_later])
def test_the_next_task_rings_for_those_before(queue: HotQueue, listeners: list[Blocking], send: Send) -> None:
    send_one(queue)
    assert rings_for(listeners[0])
    send(queue)
    assert rings_for(listeners[-1])


def test_a_sweep_rings_for_several(queue: HotQueue, listeners: list[Blocking]) -> None:
    broker = queue._tasks.broker
    broker.sweep(15_000, [])
    assert not listeners[-1]._connection.can_read(timeout=0.1)  # nothing is there to do
    send_one(queue)
    broker.sweep(15_000, [])
    assert rings_for(listeners[-1])


def test_a_lone_task_wakes_one(queue: HotQueue, listeners: list[Blocking]) -> None:
    send_one(queue)
    assert rings_for(listeners[0])
    assert not listeners[1]._connection.can_read(timeout=0.1)
