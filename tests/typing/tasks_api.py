"""What a user's type checker sees of tasks. Checked by mypy and pyright, never run; marks as in queue_api.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from hotqueue import HotQueue
from hotqueue.tasks import AsyncResult, ResultSet, Schedule, Task, crontab, current_task

queue = HotQueue("myqueue")


@queue.task
def square(n: int) -> int:
    return n * n


@queue.task(retries=3, autoretry_for=(OSError,), time_limit=60, retry_backoff=0.5)
def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


@queue.task(bind=True)
def bound(self: Task[..., Any], n: int) -> int:
    return n + self.request.retries


@queue.task
async def fetch(url: str) -> bytes:
    return url.encode()


@queue.task
def odd_names(n: int, *, self: int, function: str = "") -> int:
    return n + self


class Order:
    @queue.task
    def ship(self, n: int, *, fast: bool = False) -> str:
        return "shipped"

    @queue.task(retries=3)
    def pay(self, cents: int) -> int:
        return cents

    @queue.task
    async def track(self, n: int) -> bytes:
        return b""


order = Order()
assert_type(order.ship(4), str)
assert_type(order.ship.delay(4, fast=True), AsyncResult[str])
assert_type(order.pay.delay(4), AsyncResult[int])
assert_type(Order.ship.delay(order, 4), AsyncResult[str])
assert_type(order.ship.map(range(3)), ResultSet[str])
assert_type(order.track.delay(4), AsyncResult[bytes])
order.ship.delay("4")  # type: ignore[arg-type]
order.ship.delay()  # type: ignore[call-arg]
Order.ship.delay(4)  # type: ignore[call-arg, arg-type]


async def tracks() -> None:
    assert_type(await order.track(4), bytes)
    assert_type(await order.track.adelay(4), AsyncResult[bytes])


assert_type(odd_names(1, self=2), int)
assert_type(odd_names.delay(1, self=2, function="f"), AsyncResult[int])
assert_type(queue.submit(odd_names.__wrapped__, 1, self=2, function="f"), AsyncResult[int])
assert_type(square(4), int)
result = square.delay(4)
assert_type(result, AsyncResult[int])
assert_type(result.get(timeout=5), int)
assert_type(greet.delay("a", loud=True).get(), str)
assert_type(queue.send("shop.tasks.price", (4,), {"currency": "EUR"}, countdown=10), AsyncResult[Any])
assert_type(square.apply_async((4,), countdown=10, priority=5), AsyncResult[int])
assert_type(square.apply_async((4,), eta=datetime.now(UTC) + timedelta(seconds=1)), AsyncResult[int])
assert_type(square.map(range(1000)), ResultSet[int])
assert_type(square.map(range(3)).get(), list[int])
assert_type(queue.submit(greet.__wrapped__, "x"), AsyncResult[str])
assert_type(fetch.delay("u"), AsyncResult[bytes])
assert_type(current_task.request.retries, int)
for letter in current_task.iterate(["a", "b"]):
    assert_type(letter, str)


async def go_on(pages: AsyncIterator[bytes]) -> None:
    async for page in current_task.iterate(pages):
        assert_type(page, bytes)
    async for number in current_task.iterate(range(3)):
        assert_type(number, int)
    assert_type(await current_task.acheckpoint(1), None)


square.delay("4")  # type: ignore[arg-type]
square.delay()  # type: ignore[call-arg]
square.delay(4, 5)  # type: ignore[call-arg]
greet.delay("a", quiet=True)  # type: ignore[call-arg]
square("4")  # type: ignore[arg-type]


async def awaits() -> None:
    assert_type(await fetch("u"), bytes)
    handle = await square.adelay(4)
    assert_type(handle, AsyncResult[int])
    assert_type(await handle, int)
    assert_type(await square.delay(4).aget(timeout=1), int)
    assert_type(await fetch.delay("u"), bytes)


@queue.testing()
def in_place(n: int) -> str:
    return str(square.delay(n).get())


@queue.testing()
async def in_place_too(n: int) -> str:
    async with queue.testing():
        return str(await square.adelay(n))


assert_type(in_place(1), str)


@queue.periodic("*/5 * * * *", tz="Europe/Paris", kwargs={"n": 3}, misfire="skip")
def regular(n: int) -> int:
    return n


@queue.periodic(timedelta(minutes=1), name="slow")
@queue.task
async def pulse() -> str:
    return "alive"


assert_type(regular.delay(4), AsyncResult[int])
made = queue.schedule("nightly", crontab(minute=0, hour=3), regular, (3,), overlap="skip")
assert_type(made, Schedule)
assert_type(queue.schedules(), list[Schedule])
assert_type(made.next_run, datetime | None)
assert_type(made.declared_by, list[str])
queue.schedule("nightly", None, regular)  # type: ignore[arg-type]
