"""Steps of workflows with workers: what each is given of those before it, of every kind of task, on every kind of server.

Of this kind: values of one, of several, nested, of none; tasks that keep no result; errors and errbacks; signed queues, and
results that were altered; async tasks; steps that are due later, have gates or unique keys, or are of a paused name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, SignatureError, keys
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.contents import Room
from tests.tasks.planning import send, step_of

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def add(*numbers: Any) -> Any:
    return sum(add(*each) if isinstance(each, list) else each for each in numbers)


async def aadd(*numbers: Any) -> Any:
    await asyncio.sleep(0)
    return add(*numbers)


def fails(*_: Any) -> None:
    raise ValueError("no")


def told(request: Any = None, error: Any = None, traceback: str = "", *more: Any) -> Any:
    return request.id, str(error), "raise ValueError" in traceback, more


@pytest.mark.parametrize("function", [add, aadd], ids=["sync", "async"])
@pytest.mark.parametrize("options", [{}, {"ignore_result": True}], ids=["", "without results"])
def test_a_chain_and_a_chord(make_queue: MakeQueue, function: Callable[..., Any], options: dict[str, Any]) -> None:
    queue = make_queue()
    task, last = queue.task(function, name="add", **options), queue.task(function, name="last")
    members = [f"m{n}" for n in range(20)]
    *_, result = send(
        queue,
        step_of(task, "a", (1,)),
        step_of(task, "b", (10,), ["a"], 0),
        *[step_of(task, each, (100,), ["b"], 0) for each in members],
        step_of(task, "body", (1000,), members, "*"),
        step_of(last, "c", (), ["a", "body"], [1, [0]]),
    )
    queue.run_worker(burst=True)
    assert result.get(30) == 1000 + 20 * 111 + 1


def test_errors_end_what_is_behind_them_and_call_errbacks(make_queue: MakeQueue) -> None:
    queue = make_queue()
    bad, good, errback = queue.task(fails), queue.task(add), queue.task(told)
    _, behind, last, oops, never = send(
        queue,
        step_of(bad, "a"),
        step_of(good, "b", (1,), ["a"], 0),
        step_of(good, "c", (1,), ["b"]),
        step_of(errback, "oops", (7,), ["a", "b", "c"], when="F"),
        step_of(errback, "never", (), ["oops"], when="F"),
    )
    queue.run_worker(burst=True)
    for result in (behind, last):
        with pytest.raises(ValueError, match=r"^no\nIt arose in task a, an earlier step of the workflow"):
            result.get(30)
    assert oops.get(30) == ("a", "no", True, (7,))
    assert never.get(30) is None
    assert queue.pending() == 0
    queue.discard_dead(all=True)


@only_server
def test_a_signed_queue_gives_no_step_what_was_altered(make_queue: MakeQueue) -> None:
    queue = make_queue(secret_key="one")
    task = queue.task(add)
    _, fine = send(queue, step_of(task, "a", (1,)), step_of(task, "b", (1,), ["a"], 0))
    queue.run_worker(burst=True)
    assert fine.get(30) == 2
    _, *results = send(queue, step_of(task, "c", (1,)), step_of(task, "d", (1,), ["c"], 0, due="+600000"), workflow="v")
    queue.run_worker(burst=True)
    client = queue._store.client()
    key = keys.result(queue.name, "c")
    assert client.exists(key)
    client.set(key, client.get(keys.result(queue.name, "b")))
    client.zadd(keys.scheduled(queue.name), {"d": 1})  # its time has come
    queue.run_worker(burst=True)
    assert client.ttl(keys.result(queue.name, "b")) > 0
    with pytest.raises(SignatureError, match="the result of c"):
        results[0].get(30)
    queue.discard_dead(all=True)


@only_server
def test_a_step_with_a_gate_a_unique_key_or_a_paused_name_begins_as_any(make_queue: MakeQueue) -> None:
    queue = make_queue()
    one = queue.task(add, name="one", max_concurrency=1, unique=True)
    _, *results = send(
        queue,
        step_of(one, "a", (1,)),
        *[step_of(one, f"b{n}", (n,), ["a"], 0) for n in range(3, 6)],
    )
    queue.run_worker(burst=True)
    assert [result.get(30) for result in results] == [4, 5, 6]
    _, paused = send(queue, step_of(one, "c", (7,)), step_of(one, "d", (8,), ["c"], 0), workflow="v")
    queue.pause("one")
    queue.run_worker(burst=True)
    assert not paused.ready()
    queue.resume("one")
    queue.run_worker(burst=True)
    assert paused.get(30) == 15


@only_server
def test_what_a_step_costs_redis_is_known(room: Room) -> None:
    """Commands, which no load changes: of a chain, for each step; of a chord, for each member that ends among a hundred."""
    task = room.queue.task(add, name="add")
    session = Session(room.broker, "w", "s")
    session.register(60_000, {})

    def commands(*steps: Any) -> int:
        send(room.queue, *steps)
        room.client.config_resetstat()
        stepped = session.step(100)
        while stepped.deliveries:
            stepped = session.step(
                100, [Settlement(each.id, each.number, "S", b"1", 3_600_000, "") for each in stepped.deliveries]
            )
        return sum(each["calls"] for name, each in room.client.info("commandstats").items() if "eval" not in name)

    def chain(name: str, count: int) -> list[Any]:
        behind = [step_of(task, f"{name}{n}", (1,), [f"{name}{n - 1}"], 0) for n in range(1, count)]
        return [step_of(task, f"{name}0", (1,)), *behind]

    def chord(name: str, count: int) -> list[Any]:
        members = [f"{name}{n}" for n in range(count)]
        return [*[step_of(task, each, (1,)) for each in members], step_of(task, f"{name}body", (), members, "*")]

    commands(*chain("w", 10))  # the worker knows of steps from now on; as each does behind its first
    few, many = commands(*chain("a", 10)), commands(*chain("b", 110))
    assert (many - few) / 100 <= 30
    few, many = commands(*chord("c", 100)), commands(*chord("d", 400))
    assert (many - few) / 300 <= 2
    session.broker.reap("w", known_dead=True)
    while room.broker.let_go():  # what the bodies took, as upkeep does
        pass
