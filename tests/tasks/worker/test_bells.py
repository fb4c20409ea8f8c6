"""Which bells a worker listens to, while queues come and go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.idle import Idle
from hotqueue.tasks.worker.loading import share_stores
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server", "cluster")


@pytest.fixture
def queues(make_queue: MakeQueue, queue_name: str) -> list[HotQueue]:
    made = [make_queue(f"{queue_name}-{n}") for n in range(3)]
    share_stores([queue._tasks for queue in made])
    return made


def listen(idle: Idle, *queues: int) -> None:
    """Connect where another thread does that for a worker of several queues of a Cluster."""
    for queue in queues:
        idle.connect(queue)
        idle.reconnected(queue)


def test_a_queue_that_comes_is_listened_to_and_one_that_went_is_not(queues: list[HotQueue]) -> None:
    brokers = [queue._tasks.broker for queue in queues]
    brokers[0].store.client()
    idle = Idle({0: brokers[0]}, "s", waits_for_servers=not brokers[0].store.is_cluster)
    listen(idle, 0)
    assert not idle.wait(0.05)
    idle.add(1, brokers[1])
    listen(idle, 1)
    brokers[1].ring("s")
    wait_until(lambda: idle.wait(0.05))
    assert idle.rang == {1}
    idle.rang.clear()
    idle.remove(0)
    brokers[0].ring("s")
    assert not idle.wait(0.05)
    idle.add(2, brokers[2])
    listen(idle, 2)
    for at in (1, 2):  # again, as the server may still give the first token to the connection that was dropped
        wait_until(lambda at=at: brokers[at].ring("s") or (idle.wait(0.05) and at in idle.rang))  # type: ignore[misc,func-returns-value]
    assert idle.rang == {1, 2}
    idle.close()
    left = [broker.store.command(broker.bell_key("s"), "DEL", broker.bell_key("s")) for broker in brokers]
    assert left[0] == 1


@pytest.mark.servers("cluster")
def test_queues_of_a_node_share_two_connections_and_go_where_they_move(queues: list[HotQueue]) -> None:
    brokers = [queue._tasks.broker for queue in queues]
    store = brokers[0].store
    idle = Idle(dict(enumerate(brokers)), "sa", waits_for_servers=False)
    assert len(idle._connections) == 1  # it is not known yet which nodes there are
    store.client()
    idle.regroup([0, 1, 2])
    listen(idle, *idle.broken)
    nodes = {store.place_of(broker.bell_key("s")) for broker in brokers}
    assert len(idle._connections) == len(nodes)
    assert sum(len(each.filenos()) for each in idle._connections.values()) == 2 * len(nodes)
    for at, broker in enumerate(brokers):
        broker.ring("a")
        wait_until(lambda: idle.wait(0.05))
        assert idle.rang == {at}
        idle.rang.clear()
    idle.close()


@pytest.mark.servers("server")
def test_a_connection_that_listens_for_others_alone_is_dropped(queues: list[HotQueue]) -> None:
    brokers = [queue._tasks.broker for queue in queues]
    idle = Idle({0: brokers[0]}, "s")
    idle.wake()
    idle.wait(3)  # the question is under way
    assert not idle.add(1, brokers[1])
    brokers[1].ring("s")
    assert idle.wait(5)
    idle.close()


def test_without_queues_it_sleeps_until_it_is_woken(queues: list[HotQueue]) -> None:
    idle = Idle({}, "s")
    assert not idle.wait(0.01)
    idle.wake()
    assert not idle.wait(60)
