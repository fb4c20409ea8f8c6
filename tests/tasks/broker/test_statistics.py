"""Statistics in the store: exact whoever folds and whenever, bounded, readable before they are folded; ended tasks; deploys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.store.scripts import load
from hotqueue.tasks.broker import statistics as module
from hotqueue.tasks.broker import unfolded
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.broker.statistics import ALL, Statistics
from hotqueue.tasks.broker.unfolded import OTHER
from hotqueue.tasks.rules.histogram import bounds_of
from hotqueue.tasks.rules.tally import KEPT, Tally
from hotqueue.tasks.wire import account, envelope
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from tests.support.elsewhere import task_by_name
from tests.support.stores import script
from tests.tasks.wire.test_account import delivery, told

MakeQueue = Callable[..., HotQueue]
DAY = 86400


def of(queue: HotQueue) -> Statistics:
    return Statistics(queue._store, queue.name)


def totals(queue: HotQueue, *names: str, step: int = DAY) -> dict[str, Tally]:
    """Return what happened in all of the spans that there are, by name; without names of each."""
    found = of(queue)
    first = int(found.now()) // step - 1
    read = found.read(list(names) or None, step, first, 2)
    added = {}
    for name, tallies in read.items():
        added[name] = Tally()
        for tally in tallies:
            added[name].add(tally)
    return added


_TELL = """
for n = 1, #ARGV do
  local length = redis.call('RPUSH', KEYS[1], ARGV[n])
  if length == 1 or length % 100 == 0 then
    look_after_accounts(string.sub(KEYS[1], 1, -9), 1000 * redis.call('TIME')[1], ARGV[n], length)
  end
end
"""


def tell(queue: HotQueue, *accounts: bytes) -> None:
    """Have accounts counted, as a settlement does."""
    look_after = load("hotqueue.tasks.broker.lua", "shared/accounts").text.decode()
    queue._store.run(script(look_after + _TELL), [keys.accounts(queue.name)], list(accounts), doing="telling")


def fold_all(queue: HotQueue, keep: int = 10_000) -> None:
    while of(queue).fold(keep):
        pass


def work(n: int) -> int:
    return n


def test_a_task_waits_from_when_it_was_sent_again_not_while_it_was_dead(make_queue: MakeQueue) -> None:
    queue = make_queue()
    bad = queue.task(name="shop.bad", retries=0)(fail)
    result = bad.delay(1)
    queue.run_worker(burst=True)
    client, dead = queue._store.client(), keys.dead_tasks(queue.name)
    record = client.hget(dead, result.id)
    head, _, sent = record.partition(b"\n")
    yesterday = int(time.time() * 1000) - 86_400_000
    client.hset(dead, result.id, b"\n".join([head, envelope.restamped(sent, result.id, yesterday)]))
    queue.retry_dead(result.id)
    queue.run_worker(burst=True)
    tally = totals(queue)["shop.bad"]
    assert tally.counts["started"] == 2
    assert max(bounds_of(bucket)[1] for bucket in tally.wait) < 3_600_000_000  # microseconds
    queue.discard_dead(all=True)


def test_what_a_worker_did_counts_before_and_after_it_is_folded_in(make_queue: MakeQueue) -> None:
    queue = make_queue()
    one = queue.task(name="shop.one", ignore_result=True)(work)
    bad = queue.task(name="shop.bad", retries=1, default_retry_delay=0, retry_backoff=False, retry_jitter=False)(fail)
    one.map(range(30))
    bad.delay(1)
    waiting = totals(queue, ALL)[ALL]
    assert waiting.counts["enqueued"] == 31
    queue.run_worker(burst=True)
    before = totals(queue)
    fold_all(queue)
    client = queue._store.client()
    assert client.exists(keys.accounts(queue.name), keys.enqueued(queue.name)) == 0
    after = totals(queue)
    assert {name: tally.counts for name, tally in after.items()} == {name: tally.counts for name, tally in before.items()}
    assert (after["shop.one"].run, after["shop.one"].wait) == (before["shop.one"].run, before["shop.one"].wait)
    assert {what: n for what, n in after["shop.one"].counts.items() if n} == {"enqueued": 30, "started": 30, "succeeded": 30}
    assert {what: n for what, n in after["shop.bad"].counts.items() if n} == {
        "enqueued": 1,
        "started": 2,
        "failed": 1,
        "retried": 1,
    }
    assert (after["shop.one"].attempts, after["shop.bad"].attempts) == ({1: 30}, {2: 1})
    assert totals(queue, ALL, step=60)[ALL].counts["started"] == totals(queue, ALL)[ALL].counts["started"] == 32
    queue.discard_dead(all=True)


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


@pytest.mark.servers("server")
def test_folding_side_by_side_counts_each_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    for n in range(150):
        tell(queue, told([now_told(f"{n}-{m}") for m in range(4)], "XXXX"))
        client.hincrby(keys.enqueued(queue.name), f"{int(time.time() // 60)}:shop.a", 4)
    threads = [threading.Thread(target=fold_all, args=(queue,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fold_all(queue)
    assert totals(queue)["shop.a"].counts["succeeded"] == totals(queue)["shop.a"].counts["enqueued"] == 600
    assert len(list(of(queue).ended())) == 600


def now_told(task_id: str, name: str = "shop.a") -> Delivery:
    return delivery(task_id, name, began=time.time() - 1000.0)


@pytest.mark.servers("server")
def test_a_settlement_that_is_sent_twice_counts_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = task_by_name(queue, "shop.a")
    for n in range(3):
        task.delay(n)
    session = Session(queue._tasks.broker, "w", "s")
    session.register(60_000, {})
    hand = {each.id: each for each in session.step(10).deliveries}
    for each in hand.values():
        each.head_bytes, each.began, each.took = envelope.decode(each.data).head_bytes, time.time(), 0.01
    session.account = lambda settled: account.of_batch(settled, hand, 0.0, 0.0, b"w")
    first, *others = [Settlement(each.id, each.number, "X", b"", 0, "") for each in hand.values()]
    session.settle([first])
    session.settle([first, *others])
    session.settle([first, *others])
    assert totals(queue)["shop.a"].counts["succeeded"] == 3
    fold_all(queue)
    assert totals(queue)["shop.a"].counts["succeeded"] == 3
    assert sorted(account.id_of(each.head).decode() for each in of(queue).ended()) == sorted(hand)


@pytest.mark.servers("server")
def test_what_nobody_folds_in_is_bounded(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client, one = queue._store.client(), told([delivery("a")], "X")
    session = Session(queue._tasks.broker, "w", "s")
    session.register(60_000, {})

    def settle_one() -> int:
        task_by_name(queue, "shop.a").delay(1)
        (held,) = session.step(1).deliveries
        session.account = lambda settled: account.of_batch(settled, {held.id: held}, 0.0, 0.0, b"w")
        session.settle([Settlement(held.id, held.number, "X", b"", 0, "")])
        return int(client.llen(keys.accounts(queue.name)))

    client.rpush(keys.accounts(queue.name), *[one] * 1099)  # it is looked at once in a hundred
    assert settle_one() == 1000
    fold_all(queue, keep=50)
    assert client.exists(keys.accounts(queue.name)) == 0
    assert settle_one() == 51  # what is counted stands in front of it
    client.rpush(keys.accounts(queue.name), *[one] * 1148)
    assert settle_one() == 1200  # where somebody folds, many come between two sweeps
    client.rpush(keys.accounts(queue.name), *[one] * 99)
    client.hset(keys.statistics(queue.name), "folded", 1)
    assert settle_one() == 1300 - 50 - 100
    client.hset(keys.enqueued(queue.name), mapping={f"{minute}:a": 1 for minute in range(10_001)})
    client.set(keys.seq(queue.name), 1022)
    with queue.batch():
        task_by_name(queue, "shop.a").delay(1)
        task_by_name(queue, "shop.b").delay(1)
    assert client.hlen(keys.enqueued(queue.name)) == 0
    queue.purge()


@pytest.mark.servers("server")
def test_names_are_bounded(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolded, "MOST_NAMES", 3)
    queue = make_queue()
    for n in range(6):
        tell(queue, told([now_told(f"{n}", f"shop.{n}")], "X"))
    fold_all(queue)
    found = totals(queue)
    assert sorted(found) == [OTHER, "shop.0", "shop.1", "shop.2"]
    assert found[OTHER].counts["succeeded"] == 3
    assert totals(queue, ALL)[ALL].counts["succeeded"] == 6


@pytest.mark.servers("server")
def test_the_last_ended_tasks_are_kept_and_no_more(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    for n in range(60):
        tell(queue, told([now_told(f"{n}a"), now_told(f"{n}b")], "XX"))
    fold_all(queue, keep=20)
    ids = [account.id_of(each.head).decode() for each in of(queue).ended()]
    assert ids == [f"{n}{letter}" for n in range(59, 49, -1) for letter in "ba"]
    assert 0 < client.pttl(keys.ended(queue.name)) <= module.ENDED_MS
    tell(queue, told([now_told("z")], "X"))
    fold_all(queue, keep=0)
    assert list(of(queue).ended()) == []
    assert totals(queue)["shop.a"].counts["succeeded"] == 121


@pytest.mark.servers("server")
def test_rows_go_once_they_are_too_old(make_queue: MakeQueue) -> None:
    queue = make_queue()
    now = time.time()
    tell(queue, told([now_told("a")], "X"))
    fold_all(queue)
    assert _rows(queue) == 8
    assert of(queue).trim(b"0", now) == b"0"
    assert _rows(queue) == 8
    of(queue).trim(b"0", now + 60 * KEPT[60] + 60)
    assert _rows(queue) == 6
    of(queue).trim(b"0", now + 86400 * (KEPT[86400] + 1))
    assert _rows(queue) == 2  # of what ever was


def _rows(queue: HotQueue) -> int:
    return sum(len(field) == 5 for field in queue._store.client().hkeys(keys.statistics(queue.name)))


@pytest.mark.servers("server")
def test_a_span_takes_the_place_of_the_one_that_is_too_old(make_queue: MakeQueue) -> None:
    queue = make_queue()
    client = queue._store.client()
    for back in (KEPT[60] * 60, 0):
        client.hincrby(keys.enqueued(queue.name), f"{int(time.time()) // 60 - back // 60}:a", 1)
        fold_all(queue)
    assert totals(queue, "a", step=60)["a"].counts["enqueued"] == 1
    client.hincrby(keys.enqueued(queue.name), f"{int(time.time()) // 60 - KEPT[60]}:a", 5)
    fold_all(queue)
    assert totals(queue, "a", step=60)["a"].counts["enqueued"] == 1
    assert totals(queue, "a")["a"].counts["enqueued"] >= 6


def test_a_deploy_is_noted(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert of(queue).deploy("v1", "me")
    assert not of(queue).deploy("v1", "worker", if_new=True)
    assert of(queue).deploy("v2", "worker", if_new=True)
    assert of(queue).deploy("v2", "me")
    assert [(each["version"], each["who"]) for each in of(queue).deploys()] == [("v1", "me"), ("v2", "worker"), ("v2", "me")]
    for n in range(module.MOST_DEPLOYS):
        of(queue).deploy(f"{n}", "me")
    assert len(of(queue).deploys()) == module.MOST_DEPLOYS
