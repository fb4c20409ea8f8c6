"""User arguments may have any name: what our own parameters are called is no business of theirs.

Of the kind: every method through which a user's keyword arguments pass, on the way out (call, delay, adelay, apply_async, submit,
the asyncio twins), in the worker (execute), and in what `@queue.worker` makes. Each takes its own parameters by position only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
NAMES = [
    "self",
    "cls",
    "function",
    "args",
    "kwargs",
    "name",
    "task_id",
    "timeout",
    "queue",
    "task",
    "call",
    "options",
    "instance",
]
GIVEN = {name: place for place, name in enumerate(NAMES)}
pytestmark = pytest.mark.servers("server")


def returned(value: Any = None, /, **more: Any) -> Any:
    return [value, more]


async def _closing(queue: HotQueue, coro: Coroutine[Any, Any, Any]) -> Any:
    async with queue:
        return await coro


async def areturned(value: Any = None, /, **more: Any) -> Any:
    return [value, more]


@pytest.mark.parametrize("function", [returned, areturned])
@pytest.mark.parametrize("way", ["delay", "adelay", "apply_async", "submit"])
def test_a_keyword_of_any_name_arrives(make_queue: MakeQueue, function: Any, way: str) -> None:
    queue = make_queue()
    task = queue.task(function)
    if way == "delay":
        result = task.delay(1, **GIVEN)
    elif way == "adelay":
        result = asyncio.run(_closing(queue, task.adelay(1, **GIVEN)))
    elif way == "apply_async":
        result = task.apply_async((1,), GIVEN)
    else:
        result = queue.submit(task, 1, **GIVEN)
    queue.run_worker(burst=True)
    assert result.get(timeout=30) == [1, GIVEN]


def test_a_function_that_is_no_task_can_be_submitted_with_a_keyword_of_any_name(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = [queue.submit(lambda n, **more: [n, more], 1, self=2), queue.submit(returned, 1, **GIVEN)]
    queue.run_worker(burst=True)
    assert [r.get(timeout=30) for r in results] == [[1, {"self": 2}], [1, GIVEN]]


def test_calling_a_task_here_takes_them_too(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert queue.task(returned)(1, **GIVEN) == [1, GIVEN]
    assert asyncio.run(queue.task(areturned)(1, **GIVEN)) == [1, GIVEN]


@pytest.mark.parametrize("is_async", [False, True])
def test_what_queue_worker_makes_takes_them_too(make_queue: MakeQueue, is_async: bool) -> None:
    queue = make_queue()
    queue.put("message")

    def plain(message: str, **more: Any) -> None:
        sample.seen.append((message, more))

    async def coro(message: str, **more: Any) -> None:
        plain(message, **more)

    made = queue.worker(block=False)(coro if is_async else plain)
    asyncio.run(_closing(queue, made(**GIVEN))) if is_async else made(**GIVEN)
    assert sample.seen == [("message", GIVEN)]
