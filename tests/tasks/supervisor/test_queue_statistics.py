"""Whoever looks after a queue folds its statistics in, and notes a deploy when the version of the code is another one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import statistics
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.rules.tally import KEEP_ENDED
from hotqueue.tasks.supervisor.queue_statistics import QueueStatistics
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


@pytest.mark.servers("server")
def test_it_folds_in_and_notes_a_deploy_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task_by_name(queue, "shop.a").delay(1)
    kept = QueueStatistics(queue._tasks.broker, 100, "v1")
    assert not kept.fold()
    assert queue._store.client().exists(keys.enqueued(queue.name)) == 0
    assert statistics.series(queue._store, queue.name).total.counts["enqueued"] == 1
    for each in (kept, kept, QueueStatistics(queue._tasks.broker, 100, "v1"), QueueStatistics(queue._tasks.broker)):
        each.note_deploy()
    QueueStatistics(queue._tasks.broker, 100, "v2").note_deploy()
    assert [mark.version for mark in statistics.deploys(queue._store, queue.name)] == ["v1", "v2"]
    kept.trim(0)
    queue.purge()


@pytest.mark.servers("embedded")
def test_where_fewer_are_kept_than_usual_what_waits_is_counted_at_the_end(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task_by_name(queue, "shop.a").delay(1)
    fewer = QueueStatistics(queue._tasks.broker, 7)
    assert not QueueStatistics(queue._tasks.broker).is_to_be_finished()
    assert [fewer.is_to_be_finished() for _ in range(2)] == [True, False]
    assert Statistics(queue._store, queue.name).keeps() == KEEP_ENDED
    fewer.finish()
    assert queue._store.client().exists(keys.enqueued(queue.name)) == 0
    assert Statistics(queue._store, queue.name).keeps() == 7
    queue.purge()
