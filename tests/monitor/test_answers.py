"""Answers: a queue is described alike, whether it was read alone or with others; statistics of each name, or span by span."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import answers, crowd, inventory
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def test_a_queue_is_described_alike_alone_and_with_others(make_queue: MakeQueue, queue_name: str) -> None:
    busy, empty, newer = (make_queue(f"{queue_name}-{n}") for n in "abc")
    store = busy._store
    task_by_name(busy, "shop.price").apply_async((1,), countdown=900)
    task_by_name(busy, "shop.price").delay(1)
    for queue in (busy, newer):
        queue.put("x")
    busy.pause(task="shop.mail")
    busy.pause()
    key = keys.schema(newer.name, keys.SCHEMA + 1)
    store.command(key, "SET", key, "1")
    found = crowd.queues(store, [busy.name, empty.name, newer.name])
    names = [busy.name, empty.name, newer.name]
    schemas = answers.schemas(store, names)
    assert dict(zip(names, schemas, strict=True)) == inventory.schemas(store, names)
    together = [answers.queue_of(each, schema) for each, schema in zip(found, schemas, strict=True)]
    assert together == [answers.queue(store, each.name, schema) for each, schema in zip(found, schemas, strict=True)]
    assert together[0] == {
        "name": busy.name,
        "messages": 1,
        "tasks": 2,
        "scheduled": 1,
        "paused": True,
        "paused_tasks": ["shop.mail"],
        "schema": 1,
    }
    assert together[2] == {"name": newer.name, "messages": 1, "schema": schemas[2]}
    store.command(key, "DEL", key)
    for queue in (busy, newer):
        queue.resume()
        queue.resume(task="shop.mail")
        queue.purge()
        queue.clear()


@pytest.mark.servers("embedded")
def test_a_queue_that_cannot_be_read_says_why(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue._store.command(keys.dead(queue.name), "SET", keys.dead(queue.name), "text")
    (found,) = crowd.queues(queue._store, [queue.name])
    assert answers.queue_of(found, 1) == {"name": queue.name, "refused": found.refused}
    queue._store.command(keys.dead(queue.name), "DEL", keys.dead(queue.name))


@pytest.mark.servers("embedded")
def test_what_happened_is_counted_by_name_and_by_span(make_queue: MakeQueue) -> None:
    queue, refused = make_queue(), list[str]()
    task_by_name(queue, "shop.price").delay(1)
    store = queue._store
    rows = [answers.counts(*row) for row in answers.counted(store, [queue.name], refused, per="day", last=9999)]
    assert [(row["task"], row["enqueued"], row["seconds"]) for row in rows] == [
        (None, 1, 365 * 86400),
        ("shop.price", 1, 365 * 86400),
    ]
    spans = list(answers.counted(store, [queue.name], refused, "shop.price", "hour", 3, by_span=True))
    assert [count for _, _, count in spans] == [1, 1, 1]
    assert sum(span.counts["enqueued"] for _, span, _ in spans) == 1
    assert refused == []
    assert answers.deploys(store, [queue.name]) == []
    queue.purge()
