"""Queues that are named are found without a look at all keys; of what is not there, the nearest is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import finding
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_names_and_globs(make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, other = make_queue(), make_queue(f"{queue_name}-b")
    queue.put("a")
    sent = task_by_name(other, "t").delay(1)
    store = queue._store
    assert finding.queues(store, [f"{queue_name}*"]) == ([queue_name, other.name], [])
    found, (said,) = finding.queues(store, [queue_name, f"{queue_name}x"])
    assert found == [queue_name]
    assert said.startswith(f"there is no queue '{queue_name}x' in {store}; did you mean")
    assert {queue_name, other.name} <= set(finding.queues(store, [])[0])
    assert finding.with_tasks(store, [queue_name, other.name]) == [other.name]
    assert finding.with_tasks(store, []) == []
    assert finding.queues_of(store, sent.id, [queue_name, other.name]) == [other.name]
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "scan", None)  # right names need no look at the others
        assert finding.queues(store, [queue_name, queue_name]) == ([queue_name], [])
    other.purge()
