"""Statistics keep their bounds, and go on, whatever is told: after pauses, of retries, of nonsense, by wrong clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import ended as monitor_ended
from hotqueue.tasks import chain
from hotqueue.tasks.broker import unfolded
from hotqueue.tasks.broker.unfolded import ALL, OTHER
from hotqueue.tasks.rules.tally import KEPT
from hotqueue.tasks.wire import account
from tests.support.elsewhere import task_by_name
from tests.tasks.broker.test_statistics import DAY, fold_all, now_told, of, tell, totals, work
from tests.tasks.contents import Room, sync
from tests.tasks.wire.test_account import delivery, told

MakeQueue = Callable[..., HotQueue]


@pytest.mark.servers("server")
def test_ended_tasks_are_listed_again_after_those_of_long_ago_have_gone(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    tell(queue, *[told([now_told(f"{n}")], "X") for n in range(20)])
    fold_all(queue, keep=20)
    client.delete(keys.ended(queue.name))  # as it goes a day after the last one
    tell(queue, told([now_told("new")], "X"))
    fold_all(queue, keep=20)
    assert [account.id_of(each.head) for each in of(queue).ended()] == [b"new"]


@pytest.mark.servers("server")
def test_what_is_tried_again_and_again_does_not_pile_up(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    tell(queue, *[told([now_told(f"{n}")], "R") for n in range(100)])
    for n in range(10):
        again = [now_told(f"{n}-{m}") for m in range(99)]
        tell(queue, told([*again, now_told(f"end-{n}")], 99 * "R" + "X"))
    tell(queue, told([now_told("last")], "X"))
    fold_all(queue, keep=20)
    assert [account.id_of(each.head) for each in of(queue).ended()] == [b"last", b"end-9", b"end-8"]
    assert client.llen(keys.ended(queue.name)) == 3
    assert totals(queue)["shop.a"].counts["retried"] == 1090


@pytest.mark.servers("server")
@pytest.mark.parametrize("row", [b'{"due":{"0":[]}}', b'{"tries":{"0":1e999}}', b'{"due":{"0":1e999}}', b'{"tries":{"0":-5}}'])
def test_what_tells_nonsense_stops_no_counting(make_queue: MakeQueue, row: bytes) -> None:
    queue = make_queue()
    client = queue._store.client()
    tell(queue, told([now_told("a")], "X") + row)
    for began in (float("nan"), float("inf"), -1e300, 1e300, -1e12, 1e12):
        tell(queue, told([delivery("b", "shop.b", began=began)], "X"))
    tell(queue, told([now_told("c", "shop.c")], "X"))
    client.hset(keys.enqueued(queue.name), mapping={"x": "junk", "99999999999999999:shop.a": "3", "7:shop.a": "-3"})
    fold_all(queue)
    assert client.exists(keys.accounts(queue.name), keys.enqueued(queue.name)) == 0
    assert totals(queue)["shop.c"].counts["succeeded"] == 1
    assert b"c" in [account.id_of(each.head) for each in of(queue).ended()]


@pytest.mark.servers("server")
def test_rows_of_a_time_far_ahead_are_dropped(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client, now = queue._store.client(), int(time.time())
    for ahead in (0, 60, KEPT[60] * 60, 400 * DAY):
        client.hincrby(keys.enqueued(queue.name), f"{(now + ahead) // 60}:a", 1)
        fold_all(queue)
    of(queue).trim(b"0", now)
    client.hincrby(keys.enqueued(queue.name), f"{now // 60}:a", 5)
    fold_all(queue)
    assert totals(queue, "a", step=60)["a"].counts["enqueued"] == 6 - 1  # the place of one was taken by what was ahead
    today = sum((now + ahead) // DAY == now // DAY for ahead in (0, 60, KEPT[60] * 60))  # of these, the others are tomorrow's
    assert totals(queue, "a")["a"].counts["enqueued"] == today + 5


@pytest.mark.servers("server")
def test_names_that_are_too_many_are_others_before_they_are_folded_in(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfolded, "MOST_NAMES", 2)
    queue = make_queue()
    for n in range(2):
        tell(queue, told([now_told(f"{n}", f"shop.{n}")], "X"))
    fold_all(queue)
    for n in range(5):
        tell(queue, told([now_told(f"{n}", f"shop.{n}")], "X"))
    before = {name: tally.run for name, tally in totals(queue).items()}
    fold_all(queue)
    assert before == {name: tally.run for name, tally in totals(queue).items()}
    assert sorted(before) == [OTHER, "shop.0", "shop.1"]


@pytest.mark.servers("server")
def test_a_key_of_the_wrong_type_fails_no_sender(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    client.set(keys.enqueued(queue.name), "junk")
    client.set(keys.seq(queue.name), 1023)
    task_by_name(queue, "shop.a").delay(1)
    assert client.hlen(keys.tasks(queue.name)) == 1
    queue.purge()
    client.delete(keys.enqueued(queue.name))


@pytest.mark.servers("server")
def test_a_step_of_another_queue_ends_there_and_nowhere_else(make_queue: MakeQueue, queue_name: str) -> None:
    home, other = make_queue(queue_name), make_queue(f"{queue_name}-other")
    one = home.task(name="shop.one", ignore_result=True)(work)
    far = other.task(name="shop.far", ignore_result=True)(work)
    chain(one.si(1), far.si(2), one.si(3)).delay()
    while home.run_worker(burst=True) + other.run_worker(burst=True):
        pass
    assert [told.what for told in of(home).ended()] == ["succeeded", "succeeded"]
    assert [told.what for told in of(other).ended()] == ["succeeded"]
    balance(home, other)
    assert [totals(each, ALL)[ALL].counts["enqueued"] for each in (home, other)] == [2, 1]


@pytest.mark.servers("server")
def test_of_what_has_ended_no_more_is_read_than_is_asked_for(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    for n in range(200):
        tell(queue, told([now_told(f"{n}-{m}") for m in range(50)], 50 * "X"))
    fold_all(queue, keep=100_000)

    def read(number: int | None) -> tuple[int, int]:
        client.config_resetstat()
        assert len(list(islice(of(queue).ended(), number))) == (number or 200 * 50)
        return client.info("commandstats")["cmdstat_lrange"]["calls"], client.info("stats")["total_net_output_bytes"]

    whole = client.memory_usage(keys.ended(queue.name), samples=0) or 0
    few, every = read(50), read(None)
    assert few[0] == 2  # one of them: nothing waits to be counted
    assert few[1] < whole / 10
    assert every[0] <= 12
    found = monitor_ended.find(queue._store, queue.name, "150-7")
    assert found is not None
    assert found.what == "succeeded"


def test_what_is_counted_stands_in_front_of_what_is_not(make_queue: MakeQueue) -> None:
    """Whoever tells brings back what was told before; nothing of it counts twice, or is lost to those who list it."""
    queue = make_queue()
    client = queue._store.client()
    for n in range(3):
        tell(queue, told([now_told(f"{n}")], "X"))
        assert client.exists(keys.accounts(queue.name), keys.ended(queue.name)) == 1
        assert client.ttl(keys.accounts(queue.name)) == -1
        fold_all(queue)
        assert client.exists(keys.accounts(queue.name)) == 0
        tell(queue, told([now_told(f"{n}-again")], "R"))
        assert totals(queue)["shop.a"].counts["started"] == 2 * n + 2
    fold_all(queue)
    assert totals(queue)["shop.a"].counts == {"started": 6, "succeeded": 3, "retried": 3} | dict.fromkeys(
        ("enqueued", "failed", "lost", "parked"), 0
    )
    assert [account.id_of(each.head) for each in of(queue).ended()] == [b"2", b"1", b"0"]
    client.delete(keys.ended(queue.name))  # as it goes a day after the last one
    tell(queue, told([now_told("new")], "X"))
    assert totals(queue)["shop.a"].counts["succeeded"] == 4


def balance(*queues: HotQueue) -> None:
    """See that as many tasks came to each queue as ended there, by name, where nothing is left."""
    for queue in queues:
        for tally in totals(queue).values():
            assert tally.counts["enqueued"] == tally.counts["succeeded"] + tally.counts["failed"]


def test_what_is_retried_of_the_dead_came_again(make_queue: MakeQueue) -> None:
    queue = make_queue()
    bad = queue.task(name="shop.bäd", retries=0)(divide)
    result = bad.delay(0)
    queue.run_worker(burst=True)
    queue.discard_dead(result.id)
    queue.undo_discard(result.id)
    balance(queue)
    queue.retry_dead(result.id)
    assert totals(queue)["shop.bäd"].counts["enqueued"] == 2
    queue.run_worker(burst=True)
    assert totals(queue)["shop.bäd"].counts["failed"] == 2
    balance(queue)
    queue.discard_dead(all=True)


def divide(n: int) -> float:
    return 1 / n


def test_steps_that_take_the_place_of_a_task_came_as_well(make_queue: MakeQueue, queue_name: str) -> None:
    home, other = make_queue(queue_name), make_queue(f"{queue_name}-other")
    one = home.task(name="shop.one")(work)
    far = other.task(name="shop.far")(work)
    plan = home.task(name="shop.plan")(lambda: chain(one.si(1), far.si(2), one.si(3)))
    plan.delay()
    while home.run_worker(burst=True) + other.run_worker(burst=True):
        pass
    came = {name: tally.counts["enqueued"] for queue in (home, other) for name, tally in totals(queue).items()}
    ended = {name: tally.counts["succeeded"] for queue in (home, other) for name, tally in totals(queue).items()}
    assert came == {"shop.plan": 1, "shop.one": 1, "shop.far": 1}  # the last step is the task in whose place it is
    assert ended == {"shop.plan": 0, "shop.one": 2, "shop.far": 1}


@pytest.mark.servers("server")
def test_what_comes_again_is_not_counted_without_end_where_nobody_looks_after_it(room: Room) -> None:
    """As what comes to a queue is not, whichever way: from another queue, in the place of a task, retried."""
    room.fill({"dead": {"a": 1, "b": 2}, "dead:tasks": {each: "{}\n" + sync(each) for each in "ab"}})
    room.fill({"enqueued": {f"{minute}:a": 1 for minute in range(9_999)}})
    room.broker.revive(["a"])
    assert room.client.hlen(room.prefix + "enqueued") == 10_000
    room.client.hset(room.prefix + "enqueued", mapping={"0:b": 1, "0:c": 1})
    room.client.hdel(
        room.prefix + "enqueued", *[key for key in room.client.hkeys(room.prefix + "enqueued") if key.endswith(b"?")]
    )
    room.broker.revive(["b"])
    assert room["enqueued"] is None
