"""Each of many queues, and each name there, is told of as it is alone; in a few trips, and whatever is wrong with another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import each_statistics, many_statistics, statistics
from hotqueue.monitor.statistics import Series
from hotqueue.store.store import Store
from hotqueue.tasks.broker.statistics import Statistics, field_of
from hotqueue.tasks.rules.tally import Tally
from tests.support.elsewhere import task_by_name
from tests.support.trips import counted_trips

MakeQueue = Callable[..., HotQueue]
STEP, SPANS = 86400, 5


def filled(store: Store, name: str, tasks: dict[str, int]) -> None:
    """Have the statistics of a queue say of each name of tasks that so many succeeded yesterday."""
    span = int(Statistics(store, name).now()) // STEP - 1
    numbers = [sum(tasks.values()), *tasks.values()]
    rows = {field_of(STEP, n, span): Tally({"succeeded": count}).encode(span) for n, count in enumerate(numbers)}
    store.client().hset(keys.statistics(name), mapping={"version": 1, "task names": "\n".join(tasks), **rows})


def told(series: Series) -> tuple[str, str, int, int]:
    counts = series.total.counts
    return series.queue, series.task, counts["succeeded"], counts["enqueued"]


def alone(store: Store, queue: str) -> list[tuple[str, str, int, int]]:
    found = [statistics.series(store, queue, "", STEP, SPANS), *statistics.by_task(store, queue, STEP, SPANS)]
    return [told(each) for each in found]


@pytest.mark.parametrize(("together", "most", "rows"), [(30, 100, 5000), (2, 100, 12), (2, 1, 5000), (1, 100, 1)])
@pytest.mark.servers("server", "cluster")
def test_they_are_what_each_is_alone(
    make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch, together: int, most: int, rows: int
) -> None:
    monkeypatch.setattr(each_statistics, "TOGETHER", together)
    monkeypatch.setattr(each_statistics, "ROWS", rows)
    for module in (each_statistics, many_statistics):
        monkeypatch.setattr(module, "MOST_NAMES", most)
    names = [f"{queue_name}-{n}" for n in "abcd"]
    store, refused = make_queue(names[0])._store, list[str]()
    filled(store, names[0], {"shop.one": 3, "shop.two": 4})
    filled(store, names[1], {"shop.two": 5})
    fresh = make_queue(names[2])
    task_by_name(fresh, "shop.new").delay(1)  # which nobody has counted yet
    every = [told(each) for each in each_statistics.with_names(store, names, STEP, SPANS, refused)]
    assert every == [row for name in names for row in alone(store, name)]
    assert [row[1:] for row in every] == [
        *(("", 7, 0), ("shop.one", 3, 0), ("shop.two", 4, 0)),
        *(("", 5, 0), ("shop.two", 5, 0)),
        *(("", 0, 1), ("shop.new", 0, 1)),
        ("", 0, 0),
    ]
    of_all = [told(each) for each in each_statistics.of_all(store, names, STEP, SPANS, refused)]
    assert of_all == [row for row in every if not row[1]]
    for task in ("shop.one", "shop.two", "shop.new", "shop", "shop.none"):
        found = [told(each) for each in each_statistics.of_name(store, names, task, STEP, SPANS, refused)]
        assert found == [row for row in every if row[1] == task], task
    assert refused == []
    fresh.purge()
    for name in names[:2]:
        store.command(keys.statistics(name), "DEL", keys.statistics(name))


@pytest.mark.servers("embedded")
def test_a_name_is_told_of_though_nothing_happened_lately_and_behind_folding(make_queue: MakeQueue) -> None:
    queue, refused = make_queue(), list[str]()
    store, broker = queue._store, Statistics(queue._store, queue.name)
    task_by_name(queue, "shop.one").delay()
    for _ in range(2):
        for task, count in (("shop.one", 1), ("shop", 0)):
            assert len(list(each_statistics.of_name(store, [queue.name], task, 60, 60, refused))) == count
        broker.fold(0)
    span = int(broker.now()) // 60
    gone = [field_of(60, number, at) for number in (0, 1) for at in (span - 1, span)]
    store.command(keys.statistics(queue.name), "HDEL", keys.statistics(queue.name), *gone)
    assert [told(each) for each in each_statistics.of_name(store, [queue.name], "shop.one", 60, 60, refused)] == [
        (queue.name, "shop.one", 0, 0)
    ]
    queue.purge()


@pytest.mark.servers("server")
def test_one_that_cannot_be_read_says_why_and_hides_no_other(make_queue: MakeQueue, queue_name: str) -> None:
    names = [f"{queue_name}-{n}" for n in "ab"]
    store = make_queue(names[0])._store
    filled(store, names[1], {"shop.one": 3})
    store.command(keys.statistics(names[0]), "SET", keys.statistics(names[0]), "text", "PX", 60_000)
    for read in (each_statistics.with_names, each_statistics.of_all):
        refused: list[str] = []
        assert {each.queue for each in read(store, names, STEP, SPANS, refused)} == {names[1]}
        assert len(refused) == 1
        assert f"({keys.statistics(names[0])} holds a string, not a hash)" in refused[0]
    refused = []
    found = each_statistics.of_name(store, names, "shop.one", STEP, SPANS, refused)
    assert ([told(each) for each in found], len(refused)) == ([(names[1], "shop.one", 3, 0)], 1)
    for name in names:
        store.command(keys.statistics(name), "DEL", keys.statistics(name))


@pytest.mark.servers("server")
def test_many_cost_a_few_trips_and_no_more_are_read_than_are_wanted(
    make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{queue_name}-{n:03}" for n in range(100)]
    store = make_queue(names[0])._store
    for name in names:
        filled(store, name, {"shop.one": 3})
    trips = counted_trips(monkeypatch)
    found = each_statistics.with_names(store, names, STEP, SPANS, [])
    for _ in range(50):
        next(found)
    assert len(trips) < 12
    assert len([*found]) == 150
    assert len(trips) < 30
    trips.clear()
    assert list(each_statistics.of_name(store, names, "shop.none", STEP, SPANS, [])) == []
    assert len(trips) < 20
    store.client().unlink(*map(keys.statistics, names))
