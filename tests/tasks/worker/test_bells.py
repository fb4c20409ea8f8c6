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


def test_a_queue_that_comes_is_listened_to_and_one_that_went_is_not(queues: list[HotQueue]) -> None:
    brokers = [queue._tasks.broker for queue in queues]
    idle = Idle({0: brokers[0]}, "s")
    assert not idle.wait(0.05)
    idle.add(1, brokers[1])
    brokers[1].ring("s")
    wait_until(lambda: idle.wait(0.05))
    assert idle.rang == {1}
    idle.rang.clear()
    idle.remove(0)
    brokers[0].ring("s")
    assert not idle.wait(0.05)
    idle.add(2, brokers[2])
    for at in (1, 2):
        brokers[at].ring("s")
        wait_until(lambda: idle.wait(0.05))
    assert idle.rang == {1, 2}
    assert brokers[0].store.command(brokers[0].bell_key("s"), "DEL", brokers[0].bell_key("s")) == 1
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
