"""What a user's type checker sees of tasks. Checked by mypy and pyright, never run; marks as in queue_api.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, assert_type

from hotqueue import HotQueue
from hotqueue.tasks import (
    AsyncResult,
    AsyncStream,
    ResultSet,
    Schedule,
    Signature,
    Stream,
    Task,
    Workflow,
    chain,
    chord,
    crontab,
    current_task,
    group,
)

V = TypeVar("V")
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


@queue.task
def add(a: int, b: int) -> int:
    return a + b


@queue.task
def total(numbers: list[int]) -> float:
    return sum(numbers)


assert_type(square.s(2), Signature[int])
assert_type(add.s(2), Signature[int])
assert_type(add.s(), Signature[int])
assert_type(greet.s(loud=True), Signature[str])
assert_type(add.si(1, 2).delay().get(), int)
assert_type(square.s(2).set(priority=3).on_error(greet.s()), Signature[int])
assert_type(square.s(2).delay(), AsyncResult[int])
assert_type(square.s(2)(), int)
assert_type(square.s(2) | greet.s(), chain[str])
assert_type((square.s(2) | greet.s()).delay().get(timeout=5), str)
assert_type(chain(square.s(2), add.s(1), total.s()), chain[float])
assert_type(chain(square.s(2)).delay().parent, AsyncResult[Any] | ResultSet[Any] | None)
assert_type(group(square.s(n) for n in range(3)), group[int])
assert_type(group(square.s(1), square.s(2)).delay(), ResultSet[int])
assert_type(group(square.s(1)).delay().get(), list[int])
assert_type((square.s(1) | group(square.s(), square.s())).delay(), ResultSet[int])
assert_type(group(square.s(1)) | total.s(), chain[float])
assert_type(chord([square.s(1)], total.s()), chord[float])
assert_type(chord([square.s(1)], total.s()).delay(), AsyncResult[float])
assert_type(chord([square.s(1)])(total.s()), AsyncResult[float])
assert_type(add.starmap([(1, 2)]), Signature[list[int]])
assert_type(add.chunks([(1, 2)], 10).delay(), ResultSet[list[int]])
assert_type(order.ship.s(4), Signature[str])
assert_type(queue.results("id"), ResultSet[Any])
assert_type(queue.workflow("id"), Workflow)
assert_type(queue.workflow("id").edges, list[tuple[str, str]])
assert_type(current_task.request.parent_id, str | None)
assert_type(current_task.request.step, int | None)
square.apply_async((4,), link=greet.s(), link_error=greet.s(), depends_on=[result])


@queue.task(depends_on=[result, square.map(range(3))], priority=3)
def behind(n: int) -> str:
    return str(n)


assert_type(behind.delay(4), AsyncResult[str])
assert_type(behind.map([4]), ResultSet[str])
square.s("2")  # type: ignore[call-overload]
square.s(2, 3)  # type: ignore[call-overload]
add.si(1)  # type: ignore[call-arg]
square.s(2) | 4  # type: ignore[operator]


async def workflows() -> None:
    assert_type(await square.s(2).adelay(), AsyncResult[int])
    assert_type(await group(square.s(2)).adelay(), ResultSet[int])
    assert_type(await square.aapply_async((2,), countdown=1), AsyncResult[int])
    assert_type(await square.s(2).aapply_async(priority=1), AsyncResult[int])
    assert_type(await group(square.s(2)).aapply_async(), ResultSet[int])


@queue.task(stream_max=100, stream_deterministic=True)
def pages(n: int) -> Iterator[str]:
    yield "page"


@queue.task
async def apages(n: int) -> AsyncIterator[bytes]:
    yield b"page"


assert_type(pages.delay(1).stream(), Stream[str])
assert_type(apages.delay(1).stream(2, timeout=5, backpressure=True), Stream[bytes])
assert_type(pages.delay(1).astream(), AsyncStream[str])
assert_type(apages.delay(1).astream(), AsyncStream[bytes])
pages.delay(1).stream(begin=1)  # type: ignore[call-arg]
square.delay(2).stream()  # type: ignore[misc]
assert_type(pages.delay(1).get(), Any)  # an Iterator does not say what its generator returns
assert_type(apages.delay(1).get(timeout=1), None)
for page in pages.delay(1).stream():
    assert_type(page, str)


@queue.task
def counted(n: int) -> Generator[str, None, int]:
    yield "page"
    return n


@queue.task
async def acounted(n: int) -> AsyncGenerator[bytes, None]:
    yield b"page"


@queue.task
def listed(n: int) -> Iterable[str]:
    yield "page"


assert_type(counted.delay(1).get(timeout=1), int)
assert_type(counted.apply_async((1,)).as_future().result(), int)
assert_type(counted.s(1).delay().get(), int)
assert_type(counted.delay(1).stream(), Stream[str])
assert_type(acounted.delay(1).stream(), Stream[bytes])
assert_type(acounted.delay(1).get(), None)
assert_type(listed.delay(1).stream(), Stream[str])
assert_type(counted.map(range(3)).get(timeout=1), list[int])
assert_type(counted.map(range(3))[1].get(), int)
assert_type(counted.map(range(3))[:2].get(), list[int])
assert_type(group(counted.s(1), counted.s(2)).delay().get(), list[int])
assert_type(acounted.map(range(3)).get(), list[None])
assert_type(apages.map(range(3)).get(), list[None])
assert_type(group(acounted.s(1)).delay().get(propagate=True), list[None])
assert_type(pages.map(range(3)).get(), list[Any])
assert_type(square.map(range(3)).get(timeout=1), list[int])
assert_type(queue.results("id").get(), list[Any])
assert_type(queue.result("id").get(), Any)
assert_type(queue.result("id").stream(), Stream[Any])
assert_type(square.delay(1).get(), int)
assert_type(square.delay(1).as_future(), Future[int])


async def values() -> None:
    assert_type(await counted.delay(1), int)
    assert_type(await counted.delay(1).aget(timeout=1), int)
    assert_type(await pages.delay(1), Any)
    assert_type(await apages.delay(1).aget(), None)
    assert_type(await square.delay(1), int)
    assert_type(await counted.map(range(3)), list[int])
    assert_type(await (await counted.amap(range(3))).aget(timeout=1), list[int])
    assert_type(await group(acounted.s(1)).delay(), list[None])
    assert_type(await pages.map(range(3)).aget(), list[Any])
    assert_type(await square.map(range(3)), list[int])
    assert_type(await square.map(range(3)).aget(), list[int])
    async for item in acounted.delay(1).astream():
        assert_type(item, bytes)


def value_of(result: AsyncResult[V]) -> V:
    return result.get(timeout=1)


wide: AsyncResult[object] = square.delay(1)
assert_type(value_of(square.delay(1)), int)


def values_of(results: ResultSet[V]) -> list[V]:
    return results.get(timeout=1)


wide_ones: ResultSet[object] = square.map(range(3))
assert_type(values_of(square.map(range(3))), list[int])
