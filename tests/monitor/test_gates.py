"""The gates of a queue: how full each is, who waits there and what is paused, at the cost of a few trips."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.gates import Gate, look, with_gates
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def price(tenant: str) -> str:
    return tenant


def found(queue: HotQueue) -> dict[str, Gate]:
    return {gate.what: gate for gate in look(queue._store, queue.name).gates}


def test_who_waits_at_which_gate(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert with_gates(queue._store, [queue.name]) == []
    one = queue.task(name="shop.one", max_concurrency=2, concurrency_key=lambda tenant: tenant)(price)
    rated = queue.task(name="shop.rated", rate_limit="3/h")(price)
    sent = [one.delay("ann") for _ in range(5)]
    for n in range(4):
        rated.delay(f"x{n}")
    queue.pause(key="bob")
    one.delay("bob")
    gates = found(queue)
    at_a_time, rate, paused = (gates[what] for what in "crp")
    assert (at_a_time.key, at_a_time.raw_key, at_a_time.limit, at_a_time.used) == ("key 'ann'", "ann", 2, 2)
    assert (at_a_time.lane_count, at_a_time.waiting, at_a_time.says, at_a_time.is_shut) == (1, 3, "2 at a time", True)
    assert at_a_time.lanes[0].first == sent[2].id
    assert set(at_a_time.holders) == {sent[0].id, sent[1].id}
    assert (rate.key, rate.limit, rate.used, rate.waiting, rate.says) == ("task shop.rated", 3, 3, 1, "3 per hour")
    assert (paused.key, paused.waiting, paused.says) == ("key 'bob'", 1, "paused")
    assert paused.since is not None
    assert look(queue._store, queue.name).blocked == 5
    assert with_gates(queue._store, [queue.name]) == [queue.name]
    queue.resume(key="bob")
    queue.purge()


@pytest.mark.servers("server")
def test_starts_of_a_rate_count_until_they_are_over(make_queue: MakeQueue) -> None:
    queue = make_queue()
    rated = queue.task(name="shop.rated", rate_limit="2/h")(price)
    for n in range(3):
        rated.delay(f"x{n}")
    queue.run_worker(burst=True)
    rate = found(queue)["r"]
    assert (rate.used, rate.waiting, rate.is_shut) == (2, 1, True)
    assert rate.opens is not None
    queue.purge()


@pytest.mark.servers("server")
def test_keys_that_take_turns(make_queue: MakeQueue) -> None:
    queue = make_queue()
    fair = queue.task(name="shop.fair", fair_key=lambda tenant: tenant)(price)
    for tenant in ("ann", "ann", "bob", "bob"):
        fair.delay(tenant)
    turns = found(queue)["f"]
    assert (turns.says, turns.key, turns.is_shut) == ("keys take turns", "sync tasks", False)
    assert {lane.keys: lane.waiting for lane in turns.lanes} == {"key 'ann'": 1, "key 'bob'": 2}
    queue.purge()


@pytest.mark.servers("server")
def test_of_very_many_gates_some_are_looked_at(make_queue: MakeQueue) -> None:
    queue = make_queue()
    one = queue.task(name="shop.one", max_concurrency=1, concurrency_key=lambda tenant: tenant)(price)
    one.map(f"t{n % 600}" for n in range(1200))
    seen = look(queue._store, queue.name)
    assert seen.is_cut
    assert 50 < len(seen.gates) <= 200
    assert seen.blocked == 600
    queue.purge()


@pytest.mark.servers("server")
def test_junk_hides_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    one = queue.task(name="shop.one", max_concurrency=1)(price)
    for _ in range(2):
        one.delay("ann")
    client, prefix = queue._store.client(), f"{{hotqueue:{queue.name}}}:"
    client.sadd(f"{prefix}lanes", "junk", "", "r99999999999 k:x", "fx7", b"\xff")
    client.set(f"{prefix}starts:r99999999999 k:x", b"\xff" * 14)
    client.set(f"{prefix}slots:k:x", "junk")
    client.sadd(f"{prefix}lanes", "k:x")
    assert found(queue)["c"].waiting == 1
    client.delete(f"{prefix}starts:r99999999999 k:x", f"{prefix}slots:k:x")
    task_by_name(queue, "t")
    queue.purge()
    client.delete(f"{prefix}lanes")
