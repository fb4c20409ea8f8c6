"""Tasks that workflows are made of, at module level, so that they travel by name; their queue has no server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from hotqueue import HotQueue
from hotqueue.tasks import Task, current_task
from tests.tasks.sample import seen

queue = HotQueue("workflows", host="127.0.0.1", port=1)


@queue.task(name="add")
def add(a: int, b: int = 0) -> int:
    return a + b


@queue.task(name="square")
def square(n: int) -> int:
    return n * n


@queue.task(name="asquare")
async def asquare(n: int) -> int:
    await asyncio.sleep(0)
    return n * n


@queue.task(name="total")
def total(numbers: Iterable[int]) -> int:
    return sum(numbers)


@queue.task(name="same")
def same(*args: Any, **kwargs: Any) -> Any:
    return (*args, kwargs) if kwargs else args


@queue.task(name="boom")
def boom(value: Any = None, *more: Any) -> None:
    raise KeyError("boom", value)


@queue.task(name="caught")
def caught(request: Any, error: BaseException, traceback: str, *more: Any) -> str:
    seen.append((request.task, repr(error), "KeyError" in traceback, *more))
    return "caught"


@queue.task(name="who")
def who(*_: Any) -> dict[str, Any]:
    request = current_task.request
    found = {"id": request.id, "root": request.root_id, "parent": request.parent_id, "step": request.step}
    return found | {"headers": request.headers}


@queue.task(name="quiet", ignore_result=True)
def quiet(n: int) -> int:
    return n + 1


@queue.task(name="bound", bind=True)
def bound(self: Task[..., Any], n: int) -> tuple[str, int]:
    return self.name, n


class Basket:
    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"Basket({self.size})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Basket) and other.size == self.size

    __hash__ = None  # type: ignore[assignment]

    @queue.task
    def put(self, n: int, more: int = 0) -> int:
        return self.size + n + more
