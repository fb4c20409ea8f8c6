"""Two queues that have no server, and tasks of theirs that send one another, wait and fail."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.waiting import await_until
from tests.tasks.sample import seen

queue = HotQueue("in-place", host="127.0.0.1", port=1)
other = HotQueue("another", host="127.0.0.1", port=1)
variable: ContextVar[str] = ContextVar("variable", default="")


@queue.task
def square(n: int) -> int:
    seen.append(n)
    return n * n


@queue.task
async def asquare(n: int) -> int:
    await asyncio.sleep(0)
    seen.append(n)
    return n * n


@queue.task
async def aparent(n: int, how: str) -> int:
    if how == "adelay":
        return await (await asquare.adelay(n))
    if how == "delay":
        return await asquare.delay(n)
    if how == "sync adelay":
        return await (await square.adelay(n))
    if how == "sync delay":
        return await square.delay(n)
    if how == "map":
        return sum(await asquare.map(range(n)))
    if how == "gather":
        return sum(await asyncio.gather(*[await asquare.adelay(i) for i in range(n)]))
    if how == "nested":
        return await aparent.delay(n, "adelay")
    return asquare.delay(n).get(timeout=30)


@queue.task
def parent(n: int) -> int:
    return square.delay(n).get() + asquare.delay(n).get()


@other.task
def relay(n: int) -> int:
    return square.delay(n).get(timeout=1) + 1


@queue.task
def down(n: int) -> int:
    return 0 if n == 0 else 1 + down.delay(n - 1).get()


@queue.task
def down_without_waiting(n: int) -> None:
    seen.append(n)
    if n:
        down_without_waiting.delay(n - 1)


@queue.task
async def adown(n: int) -> int:
    return 0 if n == 0 else 1 + await (await adown.adelay(n - 1))


@queue.task
async def adown_mixed(n: int) -> int:
    return 0 if n == 0 else 1 + await adown_mixed.delay(n - 1)


@queue.task
def for_ever() -> None:
    for_ever.apply_async(countdown=60)


@queue.task(retries=2, retry_backoff=1000)
def flaky(fails: int) -> int:
    seen.append(current_task.request.retries)
    if current_task.request.retries < fails:
        raise OSError("down")
    return current_task.request.retries


@queue.task(retries=2, retry_backoff=1000)
async def aflaky(fails: int) -> int:
    if current_task.request.retries < fails:
        raise OSError("down")
    return current_task.request.retries


@queue.task(bind=True)
def inner(self: Any) -> tuple[str, str]:
    return self.request.id, variable.get()


@queue.task(bind=True)
async def outer(self: Any) -> list[Any]:
    before = current_task.request.id
    result = await inner.adelay()
    found = await result
    assert (current_task.request.id, self.request.id) == (before, before)
    return [found[0] == result.id, found[1]]


go_on = threading.Event()


@queue.task
def waits() -> str:
    return "went on" if go_on.wait(20) else "in vain"


@queue.task
async def awaits() -> str:
    await await_until(go_on.is_set, 60)
    return "went on"
