"""What a call only makes: an awaitable is awaited, a generator is refused, wherever the body would else not run.

Of the kind: a plain function that returns a coroutine (an `async def` behind an ordinary decorator), `async def` behind
partial, method, `__call__`, `types.coroutine`, `inspect.markcoroutinefunction`; futures, objects with `__await__`, a coroutine
that returns one; generators of both sorts, seen and unseen; what is as lazy (map, filter, a context manager not entered); with
and without a stored result, in a worker, by value, in place.
What is not of it: a decorator that runs the coroutine itself, and handles of tasks, which are values.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
import time
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import SoftTimeLimitExceeded
from hotqueue.tasks import AsyncResult, current_task
from hotqueue.tasks.client.definition import definition_of
from tests.support.durations import atake_time, take_time
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as most are: it knows nothing of coroutines."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        sample.mood.set("of the wrapper")
        return function(*args, **kwargs)

    return wrapper


def run_here(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return asyncio.run(function(*args))

    return wrapper


async def triple(n: int) -> int:
    await asyncio.sleep(0)
    sample.seen.append(n)
    return 3 * n


class Tripler:
    async def __call__(self, n: int) -> int:
        return await triple(n)

    async def method(self, n: int) -> int:
        return await triple(n)


class Later:
    """An awaitable of somebody's own."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __await__(self) -> Any:
        return triple(self.n).__await__()


@types.coroutine
def old_style(n: int) -> Any:
    return (yield from triple(n).__await__())


async def forgetful(n: int) -> Any:
    return triple(n)  # its author forgot to await it


async def makes_a_future(n: int) -> Any:
    return asyncio.ensure_future(triple(n))


AWAITED: dict[str, Any] = {
    "decorated": logged(triple),
    "twice": logged(logged(triple)),
    "lambda": lambda n: triple(n),
    "partial": functools.partial(triple),
    "partial of decorated": functools.partial(logged(triple)),
    "partial of partial": functools.partial(functools.partial(triple)),
    "object": Tripler(),
    "partial of object": functools.partial(Tripler()),
    "bound method": Tripler().method,
    "own awaitable": Later,
    "types.coroutine": old_style,
    "forgetful": forgetful,
    "future": makes_a_future,
    "runs it itself": run_here(triple),
}
if sys.version_info >= (3, 12):
    AWAITED["marked"] = inspect.markcoroutinefunction(logged(triple))


def generator(n: int) -> Iterator[int]:
    sample.seen.append(n)
    yield n


async def agenerator(n: int) -> AsyncIterator[int]:
    sample.seen.append(n)
    yield n


class Yielder:
    def __call__(self, n: int) -> Iterator[int]:
        sample.seen.append(n)
        yield n


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("ignore_result", [False, True])
def test_what_is_awaitable_is_awaited(make_queue: MakeQueue, ignore_result: bool, by_value: bool) -> None:
    queue = make_queue()
    results = {}
    for name, function in AWAITED.items():
        task = queue.task(name=name.replace(" ", "_"), ignore_result=ignore_result)(function)
        definition_of(task).by_value = by_value and "method" not in name
        results[name] = task.delay(5)
    queue.run_worker(burst=True)
    assert {name: r.get(timeout=30) for name, r in results.items()} == dict.fromkeys(AWAITED, None if ignore_result else 15)
    assert sample.seen == [5] * len(AWAITED)


@pytest.mark.parametrize("way", AWAITED)
def test_in_place_too(way: str) -> None:
    queue = HotQueue("eager", host="127.0.0.1", port=1)
    task = queue.task(name="it")(AWAITED[way])
    with queue.testing():
        assert task.delay(2).get() == 6
        assert queue.submit(AWAITED[way], 3).get() == 9


def test_submit_takes_them(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = [queue.submit(function, 4) for name, function in AWAITED.items() if name != "bound method"]
    queue.run_worker(burst=True)
    assert {r.get(timeout=30) for r in results} == {12}


def test_only_what_surely_makes_a_coroutine_is_for_the_event_loop() -> None:
    queue = HotQueue("eager", host="127.0.0.1", port=1)
    sure = {
        name for name, function in AWAITED.items() if definition_of(queue.task(name=name.replace(" ", "_"))(function)).is_async
    }
    assert sure == {"partial", "partial of partial", "object", "partial of object", "bound method", "forgetful", "future"} | (
        {"marked"} & set(AWAITED)
    )


def test_the_request_the_context_and_the_limit_hold_while_it_is_awaited(make_queue: MakeQueue) -> None:
    queue = make_queue()

    async def told() -> tuple[str, str]:
        await asyncio.sleep(0)
        return current_task.request.id, sample.mood.get()

    async def cleans_up() -> str:
        try:
            await atake_time(20)
        except asyncio.CancelledError:
            return "cleaned up"
        return "never"

    def slow_to_begin() -> Any:
        take_time(0.15)
        return atake_time(20)

    knows = queue.task(name="knows")(logged(told)).delay()
    cleans = queue.task(name="cleans", soft_time_limit=0.05)(logged(cleans_up)).delay()
    slow = queue.task(name="slow", soft_time_limit=0.2)(slow_to_begin).delay()
    began = time.monotonic()
    queue.run_worker(burst=True)
    assert knows.get(timeout=30) == (knows.id, "of the wrapper")
    assert cleans.get(timeout=30) == "cleaned up"
    with pytest.raises(SoftTimeLimitExceeded, match=r"slow ran longer than soft_time_limit=0.2 s"):
        slow.get(timeout=30)
    assert time.monotonic() - began < 10
    assert sample.mood.get() == ""
    queue.discard_dead(all=True)


def test_errors_and_retries_are_those_of_what_is_awaited(make_queue: MakeQueue) -> None:
    queue = make_queue()

    async def flaky() -> int:
        if current_task.request.retries < 2:
            raise OSError("not yet")
        return current_task.request.retries

    result = queue.task(name="flaky", retries=3, retry_backoff=0.01)(logged(flaky)).delay()
    queue.run_worker(burst=True)
    assert result.get(timeout=30) == 2


@pytest.mark.parametrize("way", ["by name", "by value"])
@pytest.mark.parametrize("function", [generator, agenerator, Yielder(), functools.partial(generator, 1)], ids=range(4))
def test_what_yields_itself_streams(make_queue: MakeQueue, function: Any, way: str) -> None:
    queue = make_queue()
    args = () if isinstance(function, functools.partial) else (1,)
    if way == "by name":
        definition_of(task := queue.task(name="it")(function)).by_value = False
        result = task.delay(*args)
    else:
        result = queue.submit(function, *args)
    queue.run_worker(burst=True)
    assert list(result.stream(timeout=30)) == [1]


@contextlib.contextmanager
def manager(n: int) -> Iterator[int]:
    sample.seen.append(n)
    yield n


@contextlib.asynccontextmanager
async def amanager(n: int) -> AsyncIterator[int]:
    sample.seen.append(n)
    yield n


async def gives_a_map(n: int) -> Any:
    return map(sample.seen.append, [n])


LAZY: dict[str, tuple[Any, str]] = {
    "map": (lambda n: map(sample.seen.append, [n]), r"it returned a map or filter, whose function has not run; return a list"),
    "filter": (lambda n: filter(sample.seen.append, [n]), r"returned a map or filter"),
    "coroutine": (gives_a_map, r"returned a map or filter"),
    "manager": (manager, r"it returned a context manager, whose body has not run; enter it in the task, by `with`"),
    "amanager": (amanager, r"returned a context manager"),
}


@pytest.mark.parametrize("ignore_result", [False, True])
@pytest.mark.parametrize("way", LAZY)
def test_what_is_as_lazy_fails_too(make_queue: MakeQueue, way: str, ignore_result: bool) -> None:
    queue = make_queue()
    function, words = LAZY[way]
    result = queue.task(name="it", ignore_result=ignore_result)(function).delay(1)
    queue.run_worker(burst=True)
    with pytest.raises(TypeError, match=words):
        result.get(timeout=30)
    assert sample.seen == []
    queue.discard_dead(all=True)


@pytest.mark.parametrize("ignore_result", [False, True])
@pytest.mark.parametrize("function", [logged(generator), logged(agenerator), lambda n: (n for n in [n])], ids=range(3))
def test_one_that_cannot_be_seen_fails_and_says_what_to_write(make_queue: MakeQueue, function: Any, ignore_result: bool) -> None:
    queue = make_queue()
    result = queue.task(name="it", ignore_result=ignore_result)(function).delay(1)
    queue.run_worker(burst=True)
    with pytest.raises(TypeError, match=r"it returned a generator, whose body has not run; return a list.*yield"):
        result.get(timeout=30)
    assert sample.seen == []
    queue.discard_dead(all=True)


def test_a_handle_is_a_value(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(name="square")(triple)

    def sends(n: int) -> Any:
        return square.delay(n)

    sent = queue.task(name="sends")(sends)
    definition_of(sent).by_value = False
    result = sent.delay(2)
    queue.run_worker(burst=True)
    handle = result.get(timeout=30)
    assert isinstance(handle, AsyncResult)
    assert handle.get(timeout=30) == 6


def test_a_task_that_has_become_sync_still_runs(make_queue: MakeQueue) -> None:
    """Sent as `async def`, met by a worker whose code is not."""
    queue = make_queue()
    task = queue.task(name="it")(triple)
    definition_of(task).by_value = False
    result = task.delay(2)
    newer = make_queue()
    newer.task(name="it")(abs)
    newer.run_worker(burst=True)
    assert result.get(timeout=30) == 2
