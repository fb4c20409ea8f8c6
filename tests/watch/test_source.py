"""One read is a snapshot and what is shown; a key reads no new snapshot, an action does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.store.store import Store
from hotqueue.watch.page import TaskPage
from hotqueue.watch.pulse import Pulse
from hotqueue.watch.queues import Queues
from hotqueue.watch.source import Source, known
from hotqueue.watch.task_lists import TaskLists
from hotqueue.watch.view import View

pytestmark = pytest.mark.servers("server")


def test_what_is_shown_is_read(make_queue: Callable[..., HotQueue], store: Store, queue_name: str) -> None:
    queue = make_queue()
    sent = queue.send("shop.mail")
    tasks = TaskLists()
    shown: list[tuple[View, TaskPage | None]] = [(Queues(Pulse()), None)]
    source = Source(store, [queue_name], 1000, lambda: shown[0])
    first = source.read()
    assert first.rows is not None
    assert [row.key for row in first.rows] == [queue_name]
    assert (first.page, first.task) == (None, None)
    page = TaskPage(sent.id, "", lambda _key: None)
    shown[0] = tasks, page
    queue.send("shop.mail")
    second = source.read()
    assert second.snapshot is first.snapshot
    assert second.rows is not None
    assert len(second.rows) == 2
    assert second.task is not None
    assert (second.task.id, page.queue) == (sent.id, queue_name)
    assert source.read().rows is None  # not its turn
    tasks.outdate()
    source.outdate()
    third = source.read()
    assert third.rows is not None
    assert third.snapshot.total("waiting") == 2
    tasks.take(third.rows)
    found = known(third.snapshot, [tasks])
    assert (list(found["queue"]), found["task"]) == ([queue_name], {"shop.mail"})
    assert known(None, [tasks]) == {}
    queue.purge()
