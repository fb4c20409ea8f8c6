"""What happened in many queues together is as it is read anew each time, though what did not change is not read again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import many_statistics, sums
from hotqueue.monitor.sums import Sums
from hotqueue.tasks.broker.statistics import Statistics, field_of
from hotqueue.tasks.rules.tally import Tally
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def work(queue: HotQueue, number: int) -> None:
    @queue.task(name="t")
    def t(n: int) -> int:
        return 1 // n

    for n in range(number):
        t.delay(n)
    queue.run_worker(burst=True)


def counts(series: many_statistics.Series) -> list[dict[str, int]]:
    return [each.counts for each in series.spans]


def test_they_are_as_read_anew_whatever_happens_meanwhile(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in "abc"]
    store, names = queues[0]._store, [queue.name for queue in queues]
    kept = Sums(store, 3600, 24)
    for what in range(6):
        if what in (1, 2):
            work(queues[0], 3)
        elif what == 3:
            work(queues[1], 2)
        elif what == 4:  # what was told is counted
            while Statistics(store, names[0]).fold(0):
                pass
        elif what == 5:
            names = names[1:]
        anew, found = many_statistics.overall(store, names, 3600, 24), kept.read(names)
        while anew.spans[0].at != found.spans[0].at:  # an hour began in between
            anew, found = many_statistics.overall(store, names, 3600, 24), kept.read(names)
        assert counts(found) == counts(anew), what
        assert [(each.run, each.wait, each.attempts) for each in found.spans] == [
            (each.run, each.wait, each.attempts) for each in anew.spans
        ]
        assert found.total.counts["started"] == [0, 3, 6, 8, 8, 2][what]
    for queue in queues:
        queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_what_is_told_late_is_seen_when_all_is_read_again(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make_queue()
    store, name = queue._store, queue.name
    task_by_name(queue, "t").delay(1)
    kept = Sums(store, 60, 60)
    kept.read([name])
    span = int(Statistics(store, name).now()) // 60 - 30
    row = Tally({"lost": 7}).encode(span)
    key = keys.statistics(name)
    store.command(key, "HSET", key, field_of(60, 0, span), row)
    assert kept.read([name]).total.counts["lost"] == 0  # nobody counted: its version is the same
    monkeypatch.setattr(sums, "WHOLE", 0.0)
    assert kept.read([name]).total.counts["lost"] == 7
    store.command(key, "DEL", key)
    assert kept.read([name]).total.counts["lost"] == 0
    queue.purge()


@pytest.mark.servers("server")
def test_it_is_told_when_there_is_much_to_read_and_all_is_read_all_the_same(
    make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, names = make_queue()._store, [f"{queue_name}-{n}" for n in range(5)]
    span, told = int(Statistics(store, names[0]).now()) // 60, list[int]()
    for name in names:
        rows = {field_of(60, 0, span - n): Tally({"lost": 1}).encode(span - n) for n in range(4)}
        store.client().hset(keys.statistics(name), mapping={"version": 1, **rows})
    monkeypatch.setattr(sums, "TOGETHER", 2)
    for many, is_told in ((20, []), (19, [1])):
        monkeypatch.setattr(sums, "MANY", many)
        kept = Sums(store, 60, 60)
        assert kept.read(names, is_long=lambda: told.append(1)).total.counts["lost"] == 20
        assert told == is_told
    told.clear()
    assert kept.read(names, is_long=lambda: told.append(1)).total.counts["lost"] == 20
    assert told == []  # nothing has changed
    store.client().unlink(*map(keys.statistics, names))


@pytest.mark.servers("server")
def test_only_what_may_have_changed_is_read(make_queue: MakeQueue) -> None:
    queue = make_queue()
    work(queue, 3)
    store, name = queue._store, queue.name
    while Statistics(store, name).fold(0):
        pass
    kept = Sums(store, 60, 60)
    first = kept.read([name])
    [(_, begin, count, version)] = kept._asked([name], int(first.spans[0].at.timestamp()) // 60)
    assert (count, version) == (1 + sums.LATE, Statistics(store, name)._unfolded(0).version)
    assert begin == int(first.spans[-1].at.timestamp()) // 60 - sums.LATE
    queue.discard_dead(all=True)
