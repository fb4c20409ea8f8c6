"""Where a worker of many queues looks: not at all of them, and yet at every one in which something waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.worker import Worker
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


@pytest.fixture
def queues(make_queue: MakeQueue, queue_name: str) -> list[HotQueue]:
    made = [make_queue(f"{queue_name}-{n}") for n in range(5)]
    share_stores([queue._tasks for queue in made])
    return made


def worker_of(queues: list[HotQueue]) -> Worker:
    worker = Process([queue._tasks for queue in queues]).workers[0]
    assert isinstance(worker, Worker)
    assert worker._register()
    return worker


def test_it_looks_at_queues_to_which_something_happened_from_the_one_whose_turn_it_is(queues: list[HotQueue]) -> None:
    worker = worker_of(queues)
    assert worker.attended() == []
    for at in (0, 3):
        worker.subscriptions[at].note_ring()
    assert [each.index for each in worker.attended()] == [0, 3]
    worker.turns.spend(0, 1)
    assert [each.index for each in worker.attended()] == [3, 0]
    worker._leave()


def test_a_look_at_all_is_due_only_now_and_then(queues: list[HotQueue]) -> None:
    worker = worker_of(queues)
    queues[2].submit(sample.square, 2)
    worker.look_soon()
    assert worker.look_at_quiet()
    queues[4].submit(sample.square, 2)
    assert not worker.look_at_quiet()
    assert [each.index for each in worker.attended()] == [2]
    worker._leave()
