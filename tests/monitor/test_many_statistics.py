"""Many queues are told of together as each is alone; one that cannot be read hides none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import many_statistics, statistics
from hotqueue.monitor.known_spans import KnownSpans
from hotqueue.monitor.statistics import Series
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.wire.preview import preview
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def at_work(make_queue: MakeQueue, name: str) -> list[HotQueue]:
    """Return three queues: in two some tasks have ended, of two names."""
    queues = [make_queue(f"{name}-{n}") for n in "abc"]
    for queue in queues[:2]:

        @queue.task(name=f"{queue.name[-1]}.fine")
        def fine(n: int) -> int:
            return n

        @queue.task(name="odd")
        def odd(n: int) -> int:
            raise ValueError(n)

        for n in range(3):
            fine.delay(n)
        odd.delay(1)
        queue.run_worker(burst=True)
    return queues


def test_together_they_are_what_each_is_alone(make_queue: MakeQueue, queue_name: str) -> None:
    queues = at_work(make_queue, queue_name)
    store, names = queues[0]._store, [queue.name for queue in queues]
    alone = [statistics.series(store, name, "", 60, 5).total for name in names]
    found = many_statistics.overall(store, names, 60, 5)
    assert (len(found.spans), found.queue, found.total.counts["succeeded"], found.total.counts["failed"]) == (5, "", 6, 2)
    assert found.total.counts == dict(sum((Counter(each.counts) for each in alone), Counter())) | {
        what: 0 for what, number in found.total.counts.items() if not number
    }
    assert found.total.run.count == sum(each.run.count for each in alone) == 8
    named = many_statistics.by_task(store, names, 60, 5)
    assert [(each.queue, each.task, each.total.counts["succeeded"], each.total.counts["failed"]) for each in named] == [
        *((names[0], "a.fine", 3, 0), (names[0], "odd", 0, 1)),
        *((names[1], "b.fine", 3, 0), (names[1], "odd", 0, 1)),
    ]
    for queue in queues[:2]:
        queue.discard_dead(all=True)


@pytest.mark.servers("embedded")
def test_what_is_known_is_not_made_anew_and_what_changes_is_seen(make_queue: MakeQueue, queue_name: str) -> None:
    queues, known = at_work(make_queue, queue_name), KnownSpans()
    store, names = queues[0]._store, [queue.name for queue in queues]
    broker = Statistics(store, names[0])
    while broker.fold(100):
        pass

    def looked_at() -> list[Series]:
        found = many_statistics.by_task(store, names, 86400, 3, known)
        assert found == many_statistics.by_task(store, names, 86400, 3)
        return found

    first, again = looked_at(), looked_at()
    assert any(before is now for before in first[0].spans for now in again[0].spans)
    task_by_name(queues[0], "new").delay(1)
    for _ in range(2):  # not folded in yet, then so
        assert [each.total.counts["enqueued"] for each in looked_at() if each.task == "new"] == [1]
        while broker.fold(100):
            pass
    store.command(keys.statistics(names[0]), "DEL", keys.statistics(names[0]))
    assert [each for each in looked_at() if each.queue == names[0] and each.total.counts["succeeded"]] == []
    queues[0].revoke_all(all=True)
    for queue in queues[:2]:
        queue.discard_dead(all=True)


def test_of_no_queues_nothing_happened(make_queue: MakeQueue) -> None:
    store = make_queue()._store
    found = many_statistics.overall(store, [], 3600, 24)
    assert (len(found.spans), set(found.total.counts.values()), found.step) == (24, {0}, 3600)
    assert many_statistics.by_task(store, [], 60, 5) == []
    assert (many_statistics.oldest(store, []), many_statistics.marks(store, [])) == ({}, [])


def test_the_oldest_that_waits_is_told_of_each_queue(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in "ab"]
    task_by_name(queues[0], "shop.price").delay(1)
    found = many_statistics.oldest(queues[0]._store, [queue.name for queue in queues])
    assert list(found) == [queues[0].name]
    assert 0 <= found[queues[0].name] < 120
    queues[0].revoke_all(all=True)


@pytest.mark.servers("server", "embedded")
def test_the_first_of_each_priority_and_of_lanes_is_looked_at_where_that_is_wanted(make_queue: MakeQueue) -> None:
    queue = make_queue()
    store, name = queue._store, queue.name
    task = task_by_name(queue, "shop.price")
    sent = [task.apply_async((n,), priority=priority).id for n, priority in enumerate((-100, 0, 0, 100, 100))]
    lane = keys.lane(name, "a lane")
    store.command(lane, "ZADD", lane, 7, sent[2])
    store.command(keys.lanes(name), "SADD", keys.lanes(name), "a lane")
    assert [preview(each).args for each in Statistics(store, name).first_waiting()] == ["3", "1", "0", "2"]
    store.command(keys.ready(name), "ZADD", keys.ready(name), "inf", "nobody's")  # which has an end
    assert len(Statistics(store, name).first_waiting()) == 4
    alone = statistics.oldest(store, name)
    together = many_statistics.oldest(store, [name], of_each_priority=True)[name]
    assert alone is not None
    assert 0 <= together - alone < 60
    store.command(lane, "DEL", lane)
    store.command(keys.lanes(name), "DEL", keys.lanes(name))
    store.command(keys.ready(name), "ZREM", keys.ready(name), "nobody's")
    queue.purge()


@pytest.mark.servers("server")
def test_one_whose_keys_are_wrong_hides_no_other(make_queue: MakeQueue, queue_name: str) -> None:
    queues = at_work(make_queue, queue_name)
    wrong = make_queue(f"{queue_name}-w")
    for key in (keys.statistics(wrong.name), keys.accounts(wrong.name), keys.enqueued(wrong.name), keys.ready(wrong.name)):
        wrong._store.command(key, "SET", key, "text", "PX", 60_000)
    names = [wrong.name, *(queue.name for queue in queues)]
    assert many_statistics.overall(wrong._store, names, 60, 5).total.counts["succeeded"] == 6
    assert many_statistics.oldest(wrong._store, names) == {}
    for queue in queues[:2]:
        queue.discard_dead(all=True)
