"""Lists of tasks: each in its state, filtered, bounded by what is shown and by what is looked at; on every kind of server."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import one_task
from hotqueue.monitor.filter_text import parse
from hotqueue.monitor.filters import UNENDED
from hotqueue.monitor.tasks import Row, Search
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


def rows(queue: HotQueue, *states: str, wanted: str = "") -> list[Row]:
    return list(Search(parse(wanted), limit=1000).rows(queue._store, [queue.name], states or UNENDED))


def test_each_task_is_in_its_state(make_queue: MakeQueue) -> None:
    queue = make_queue()
    other, later = task_by_name(queue, "shop.other"), task_by_name(queue, "shop.later")
    failing = queue.task(name="shop.fail")(fail)
    retried = queue.task(name="shop.retry", retries=5, default_retry_delay=900, retry_backoff=False, retry_jitter=False)(fail)
    failing.apply_async((1,), priority=-3)
    retried.delay(2)
    queue.run_worker(burst=True)
    sent = other.apply_async((3,), {"x": "…"}, priority=7), later.apply_async((4,), countdown=1000)
    queue.pause(task="shop.paused")
    task_by_name(queue, "shop.paused").delay(5)
    found = {row.task: row for row in rows(queue)}
    assert {name: row.state for name, row in found.items()} == {
        "shop.other": "waiting",
        "shop.retry": "retrying",
        "shop.later": "scheduled",
        "shop.paused": "waiting",
        "shop.fail": "dead",
    }
    assert [row.id for row in rows(queue, "scheduled")] == [sent[1].id]
    one = found["shop.other"]
    assert (one.id, one.queue, one.args, one.priority, one.how) == (sent[0].id, queue.name, "3, x='…'", 7, "ready")
    assert abs(one.at / 1000 - time.time()) < 60
    assert (found["shop.retry"].retries, found["shop.retry"].error) == (1, "ValueError: no 2")
    assert found["shop.retry"].due is not None
    attempts = {"shop.other": 0, "shop.retry": 1, "shop.later": 0, "shop.paused": 0, "shop.fail": 1}
    assert {name: row.attempts for name, row in found.items()} == attempts
    assert {name: one_task.look(queue._store, queue.name, row.id).attempts for name, row in found.items()} == attempts
    assert {row.task: row.attempts for row in rows(queue, "ended")} == {"shop.fail": 1}
    assert [row.task for row in rows(queue, wanted="attempts:>0 -state:dead")] == ["shop.retry"]
    assert found["shop.fail"].error == "ValueError: no 1"
    assert found["shop.fail"].as_json()["died"].endswith("+00:00")
    assert all(row.sent is not None and abs(row.sent.timestamp() - time.time()) < 60 for row in found.values())
    assert (found["shop.fail"].priority, [row.task for row in rows(queue, wanted="state:dead sent:<1h")]) == (-3, ["shop.fail"])
    assert [row.task for row in rows(queue, wanted='"NO 1"')] == ["shop.fail"]
    assert {row.task for row in rows(queue, wanted="task:shop.*er")} == {"shop.other", "shop.later"}
    assert rows(queue, wanted="age:>1h") == rows(queue, wanted=f"-queue:{queue.name}") == rows(queue, wanted="age:<0s") == []
    assert [row.task for row in rows(queue, wanted="state:dead failed:<1h")] == ["shop.fail"]
    queue.resume(task="shop.paused")
    queue.purge()
    queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_a_search_is_bounded_and_says_so(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task_by_name(queue, "t").map(f"nr-{n}" for n in range(700))
    search = Search(limit=5)
    assert len(list(search.rows(queue._store, [queue.name]))) == 5
    assert (search.has_more, search.is_cut) == (True, False)
    search = Search(parse("nr-699"), look_at=300)
    assert list(search.rows(queue._store, [queue.name])) == []
    assert (search.looked, search.has_more, search.is_cut) == (300, False, True)
    search = Search(parse("nr-699"))
    assert [row.args for row in search.rows(queue._store, [queue.name])] == ["'nr-699'"]
    assert (search.looked, search.has_more, search.is_cut) == (700, False, False)
    queue.purge()


@pytest.mark.servers("server")
def test_a_list_costs_what_it_shows(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task_by_name(queue, "t").map(range(5000))
    client = queue._store.client()
    before = client.info("commandstats")["cmdstat_hget"]["calls"] if "cmdstat_hget" in client.info("commandstats") else 0
    list(Search(limit=20).rows(queue._store, [queue.name], ["waiting"]))
    assert client.info("commandstats")["cmdstat_hget"]["calls"] - before < 1000
    queue.purge()


def test_what_is_over_comes_last_first_whatever_queue_it_is_of(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(), make_queue(f"{queue_name}-b")]
    for n in range(4):
        queue = queues[n % 2]
        queue.task(name="shop.good")(str).delay(n)
        queue.task(name="shop.fail")(fail).delay(n)
        queue.run_worker(burst=True)
    names = [queue.name for queue in queues]
    dead = list(Search(parse(""), limit=3).rows(queues[0]._store, names, ["dead"]))
    assert [row.args for row in dead] == ["3", "2", "1"]
    ended = list(Search(parse("task:shop.good"), limit=3).rows(queues[0]._store, names, ["ended"]))
    assert [row.args for row in ended] == ["3", "2", "1"]
