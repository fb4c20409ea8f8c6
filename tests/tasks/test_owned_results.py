"""Results that are owned, with workers: what a task returns is there for who owns it, though the task is to keep none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import UnknownTask
from hotqueue.tasks.broker.broker import Broker
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
runs: list[int] = []


def triple(number: int) -> int:
    return 3 * number


async def atriple(number: int) -> int:
    return 3 * number


def at_last(number: int) -> int:
    runs.append(number)
    if runs.count(number) < 2:
        raise OSError("not yet")
    return 3 * number


def waits(number: int) -> None: ...


@pytest.mark.parametrize("function", [triple, atriple, at_last], ids=lambda function: function.__name__)
@pytest.mark.parametrize("options", [{"ignore_result": True}, {"result_expires": 0}], ids=str)
def test_a_task_that_is_to_keep_no_result_keeps_it_for_its_owner(
    make_queue: MakeQueue, function: Callable[[int], Any], options: dict[str, Any]
) -> None:
    queue = make_queue()
    broker = Broker(queue._store, queue.name)
    runs.clear()
    result, other = (queue.task(function, name=name, retries=2, retry_backoff=0.01, **options).delay(7) for name in ("a", "b"))
    owner = queue.task(waits).apply_async((1,), countdown=600)
    assert broker.own(owner.id, [result.id]) == ("T", True)
    queue.run_worker(burst=True)
    assert (result.get(30), other.get(30)) == (21, None)
    assert owner.revoke() == "revoked"
    assert broker.record(result.id) is None
    assert queue.result(result.id).get(30) is None  # as of any that keeps none


def test_a_result_that_is_owned_outlives_its_time(make_queue: MakeQueue) -> None:
    queue = make_queue()
    broker = Broker(queue._store, queue.name)
    result, short = (queue.task(triple, name=name, result_expires=0.01).delay(7) for name in ("a", "b"))
    owner = queue.task(waits).apply_async((1,), countdown=600)
    broker.own(owner.id, [result.id])
    queue.run_worker(burst=True)
    wait_until(lambda: broker.record(short.id) is None)
    assert result.get(30) == 21
    result.forget()
    assert queue.result(result.id).get(30) == 21  # its owner has it still
    owner.revoke()
    with pytest.raises(UnknownTask):
        queue.result(result.id).get(30)
