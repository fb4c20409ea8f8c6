"""Queues that no module defines: where they are, with which key, and which tasks they know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.loading import load
from hotqueue.tasks.worker.queue_making import QueueMaking
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_they_are_where_those_of_the_modules_are_and_know_their_tasks(make_queue: MakeQueue) -> None:
    defined = make_queue()
    defined.task(name="square")(sample.square)
    making = QueueMaking(HotQueue)
    making.know([defined._tasks])
    making.find_stores([], [defined._tasks])
    assert making.stores == [defined._store]
    assert making.tasks() == {"square"}
    made = making.complete(making.make("another"))
    assert (made.store, list(made.tasks)) == (defined._store, ["square"])


def test_a_name_that_means_two_tasks_is_not_lent(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    one, other = make_queue(), make_queue("other")
    one.task(name="square")(sample.square)
    other.task(name="square")(sample.double)
    making = QueueMaking(HotQueue)
    making.know([one._tasks, other._tasks])
    assert not making.complete(making.make("another")).tasks
    assert "queue 'another' runs no task square" in caplog.text


def test_without_modules_they_are_where_the_worker_was_told(make_queue: MakeQueue) -> None:
    store = make_queue()._store
    making = QueueMaking(HotQueue, store)
    assert load([], ["tenant-*"], making) == []
    assert making.stores == [store]
    [made] = load([], ["tenant-*", r"a\*"], QueueMaking(HotQueue, store))
    assert (made.name, made.store) == ("a*", store)
