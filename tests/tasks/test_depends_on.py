"""Tasks whose decorator says for which results all their calls wait: `@queue.task(depends_on=[…])`.

Of this kind: each way to send a call, steps of workflows and methods too; what a call says instead; a failure before it; what is
refused, and where. `depends_on=` of one call: tests/tasks/test_workflows.py.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import ConfigError, Executor, HotQueue
from hotqueue.tasks import chord, group
from hotqueue.tasks.client.definition import definition_of
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def fail(n: int) -> None:
    raise KeyError("first", n)


def work(queue: HotQueue) -> None:
    queue.run_worker(burst=True)


def test_each_call_waits_however_it_is_sent(make_queue: MakeQueue) -> None:
    queue = make_queue()
    first = queue.task(sample.square).apply_async((2,), countdown=3600)

    class Order:
        @queue.task(depends_on=[first])
        def ship(self, n: int) -> tuple[int, str]:
            return n, "shipped"

    double = queue.task(depends_on=first)(sample.double)
    order = Order()

    async def main() -> list[Any]:
        sent = [await double.adelay(3), await double.aapply_async((4,)), await double.amap([5]), await order.ship.amap([6])]
        sent += [await queue.asend(double.name, (7,)), await order.ship.adelay(8)]
        await queue.aclose()
        return sent

    sent = [double.delay(1), double.apply_async((2,), priority=3), *asyncio.run(main())]
    sent += [double.map([9, 10]), order.ship.delay(11), order.ship.map(n for n in (12, 13)), queue.send(double.name, (14,))]
    sent += [double.s().delay(15), double.si(16).delay(), group(double.s(17)).delay(), queue.submit(double, 19)]
    assert queue.pending() == 19  # with the one that they wait for
    work(queue)
    assert not any(result.ready() for result in sent)
    assert [result.why().reason for result in sent[:2]] == ["waits_for_steps"] * 2
    assert queue.task(sample.square).delay(3).state == "PENDING"  # one without it waits for nothing
    first.revoke()
    queue.purge()
    work(queue)


def test_they_run_once_all_have_succeeded(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    seen = [square.delay(2), group(square.s(n) for n in range(2)).delay()]
    double = queue.task(depends_on=seen)(sample.double)
    results = [double.delay(2), double.map([3, 4]), chord([double.s(5), square.s(5)], queue.task(sum, name="sum").s()).delay()]
    work(queue)
    assert [result.get(timeout=30) for result in results] == [4, [6, 8], 35]
    late = double.delay(6)  # of which all have ended
    work(queue)
    assert late.get(timeout=30) == 12


@only_server
def test_what_a_call_names_itself_is_instead(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    never, soon = square.apply_async((2,), countdown=3600), square.delay(3)
    double = queue.task(depends_on=[never])(sample.double)
    named = [double.apply_async((1,), depends_on=[soon]), double.s(2).set(depends_on=soon).set(depends_on=[soon]).delay()]
    named += [double.apply_async((3,), depends_on=[]), double.s(4).set(depends_on=()).delay()]
    waits = [double.delay(5), double.s(6).set(priority=3).delay(), double.apply_async((7,), depends_on=None)]
    waits.append(double.s(8).set(depends_on=[soon]).set(depends_on=[never]).delay())
    waits.append(pickle.loads(pickle.dumps(double.s(9))).delay())
    work(queue)
    assert [result.get(timeout=30) for result in named] == [2, 4, 6, 8]
    assert [result.ready() for result in waits] == [False] * 5
    never.revoke()
    work(queue)


@only_server
def test_one_that_fails_ends_them(make_queue: MakeQueue) -> None:
    queue = make_queue()
    failing = queue.task(fail)
    double = queue.task(depends_on=[failing.delay(1)])(sample.double)
    result, several = double.delay(2), double.map([3, 4])
    work(queue)
    for each in (result, several, double.delay(5)):
        with pytest.raises(KeyError, match="first"):
            each.get(timeout=30)
    queue.discard_dead(all=True)


def test_inside_testing_it_waits_as_well(make_queue: MakeQueue) -> None:
    queue = make_queue()
    with queue.testing():
        square, failing = queue.task(sample.square), queue.task(fail)
        double = queue.task(depends_on=[square.delay(2)])(sample.double)
        assert (double.delay(3).get(), double.map([4, 5]).get(), double.s(6).delay().get()) == (6, [8, 10], 12)
        behind = queue.task(depends_on=[failing.delay(1)])(sample.double)
        with pytest.raises(KeyError, match="first"):
            behind.delay(3).get()
        assert behind.apply_async((3,), depends_on=[]).get() == 6


@only_server
def test_results_are_checked_where_the_task_is_made(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for wrong in ("id", ["id"], [1], 3):
        with pytest.raises(TypeError, match=r"depends_on= takes results, such as \[task.delay\(…\)\], not"):
            queue.task(depends_on=wrong)(sample.square)
    with pytest.raises(TypeError, match="unknown option 'depend_on'; did you mean 'depends_on'"):
        queue.task(depend_on=[])(sample.square)
    assert definition_of(queue.task(depends_on=[])(sample.square)).is_simple
    assert definition_of(queue.task(depends_on=None)(sample.square)).is_simple


@only_server
def test_what_cannot_wait_says_so(make_queue: MakeQueue) -> None:
    queue = make_queue()
    double = queue.task(depends_on=[queue.result("nightly")])(sample.double)
    with pytest.raises(
        ConfigError, match=r"double waits for results of others \(depends_on=\), which the calls of a schedule cannot"
    ):
        queue.schedule("often", 30, double)
    with Executor(queue) as executor:
        for send in (lambda: executor.submit(double, 1), lambda: list(executor.map(double, [1]))):
            with pytest.raises(TypeError, match="double, which waits for results of others"):
                send()
