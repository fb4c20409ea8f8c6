"""Under which name a worker is known at its queues, and what it says of servers that are away or refuse it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.membership import RETRY_AFTER, are_several
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.worker import Worker

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def several(make_queue: MakeQueue, name: str) -> list[HotQueue]:
    """Return queues of one store."""
    queues = [make_queue(f"{name}-{n}") for n in range(3)]
    share_stores([queue._tasks for queue in queues])
    return queues


def worker_of(queues: list[HotQueue]) -> Worker:
    return Process([queue._tasks for queue in queues], name="the name").workers[0]


@only_server
def test_it_is_known_at_all_its_queues_under_one_name_until_it_leaves(make_queue: MakeQueue, queue_name: str) -> None:
    queues = several(make_queue, queue_name)
    worker = worker_of(queues)
    assert worker._register()
    for queue in queues:
        [facts] = queue.workers()
        assert (facts["worker"], facts["name"], facts["kind"]) == (worker.presence.id, "the name", "s")
        assert facts["folder"] == worker.presence.folder
    assert [subscription.is_registered for subscription in worker.subscriptions] == [True] * 3
    worker._leave()
    assert [queue.workers() for queue in queues] == [[]] * 3


@only_server
def test_a_queue_that_refuses_it_keeps_it_from_no_other(
    make_queue: MakeQueue, queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    queues = several(make_queue, queue_name)
    sick = keys.workers(queues[1].name)
    queues[1]._store.command(sick, "SET", sick, "no workers")
    worker = worker_of(queues)
    assert worker._register()
    assert [subscription.is_registered for subscription in worker.subscriptions] == [True, False, True]
    assert [subscription.is_unavailable for subscription in worker.subscriptions] == [False, True, False]
    worker.note_refusal(worker.subscriptions[1], ConfigError(worker.subscriptions[1].refusal))
    assert caplog.text.count(f"queue {queues[1].name}: ") == 1
    assert worker.subscriptions[1].must_recover
    assert worker.next_due() <= RETRY_AFTER
    queues[1]._store.command(sick, "DEL", sick)
    worker._leave()


@only_server
def test_of_its_queues_it_first_asks_those_in_which_tasks_wait(make_queue: MakeQueue, queue_name: str) -> None:
    """Asked one after the other, a hundred queues on a slow network kept a task waiting for twelve seconds."""
    queues = several(make_queue, queue_name)
    queues[1].task(name="square")(pow).delay(2, 2)
    worker = worker_of(queues)
    assert worker._register()
    assert [subscription.may_have_tasks for subscription in worker.subscriptions] == [False, True, False]
    worker.idle.start_over(worker.to_be_asked(worker.subscriptions))
    worker.note_rings()
    assert [subscription.may_have_tasks for subscription in worker.subscriptions] == [False, True, False]
    worker._leave()


@only_server
def test_an_outage_is_said_once_by_all_workers_of_a_process(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hotqueue.worker")
    workers = [each for each in Process([make_queue()._tasks], threads=2).workers if isinstance(each, Worker)]
    for worker in workers:
        worker._note_outage(ConnectionFailed("no answer"))
    for worker in workers:
        worker._end_outage(worker.subscriptions[0])
        worker.presence.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["no answer; trying again until it answers", f"queue {workers[0].subscriptions[0].name} answers again"]


@only_server
def test_stores_of_several_queues_may_be_several(make_queue: MakeQueue, queue_name: str) -> None:
    one, other = make_queue(), make_queue(f"{queue_name}-b")
    assert are_several([one._tasks, other._tasks])
    assert not are_several([queue._tasks for queue in several(make_queue, queue_name)])
    assert not are_several([one._tasks])


@pytest.mark.servers("cluster")
def test_queues_of_a_cluster_may_be_at_several_nodes(make_queue: MakeQueue, queue_name: str) -> None:
    queues = several(make_queue, queue_name)
    assert are_several([queue._tasks for queue in queues])
    assert not are_several([queues[0]._tasks])


@only_server
def test_a_task_whose_ring_was_lost_is_found_by_a_look_at_all_queues_in_which_nothing_is_known(
    make_queue: MakeQueue, queue_name: str
) -> None:
    queues = several(make_queue, queue_name)
    worker = worker_of(queues)
    assert worker._register()
    assert worker.attended() == []
    queues[1].task(name="square")(pow).delay(2, 2)
    queues[2].task(name="square")(pow).apply_async((2, 2), countdown=60)
    bells = [keys.bell(queue.name) for queue in queues]
    for bell in bells:
        queues[1]._store.command(bell, "DEL", bell)
    assert worker.look_at_quiet()
    assert sorted(each.index for each in worker.attended()) == [1, 2]
    worker.step(worker.subscriptions[2], 1)
    assert 50 < worker.subscriptions[2].until_due() <= 60
    assert not worker.subscriptions[2].is_quiet  # it has something due: it is not to be asked in vain, nor forgotten
    worker._leave()
