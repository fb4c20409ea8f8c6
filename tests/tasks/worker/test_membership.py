"""Under which name a worker is known at its queues, and what it says of a server that refuses it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConfigError
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.membership import RETRY_AFTER, are_several
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.servers import RedisServer

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]


def test_a_worker_is_known_at_each_of_its_queues_under_one_name(make_queue: MakeQueue) -> None:
    queues = [make_queue("one"), make_queue("two")]
    registries = [queue._tasks for queue in queues]
    share_stores(registries)
    worker = Process(registries, name="mine").workers[0]
    assert isinstance(worker, SyncWorker)
    assert worker._register()
    for queue in queues:
        [known] = queue.workers()
        assert (known["worker"], known["kind"], known["name"]) == (worker.presence.id, "s", "mine")
    worker._leave()
    assert [queue.workers() for queue in queues] == [[], []]


def test_queues_are_at_several_servers_where_they_have_several_stores(
    make_queue: MakeQueue, start_redis: Callable[[], RedisServer]
) -> None:
    here, beside, far = make_queue("here"), make_queue("beside"), make_queue("far", url=start_redis().url)
    registries = [here._tasks, beside._tasks]
    share_stores(registries)
    assert not are_several(registries)
    assert are_several([*registries, far._tasks])


def test_a_refusal_is_said_once_and_the_queue_left_alone_for_a_while(
    worker: SyncWorker, caplog: pytest.LogCaptureFixture
) -> None:
    [subscription] = worker.subscriptions
    for _ in range(2):
        worker.note_refusal(subscription, ConfigError("the key is a string"))
    assert caplog.text.count("the key is a string; trying again until it is put right") == 1
    assert subscription.is_unavailable
    assert subscription.must_recover
    assert worker.next_due() <= RETRY_AFTER
    subscription.unavailable_until, subscription.must_recover = 0.0, False
