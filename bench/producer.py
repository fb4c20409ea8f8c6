"""The process that sends a contender's tasks, in that contender's environment. Prints what it measured as one line of JSON.

    python -m bench.producer CONTENDER ACTION TASK FIRST COUNT

FIRST and COUNT say which numbers the tasks get.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bench import bodies
from bench.contenders import chunks
from bench.ticks import WARM_TRIPS, WARM_UP

AT_ONCE = 50  # coroutines that enqueue together
SECONDS = float(os.environ["BENCH_SECONDS"])  # of round trips
LEAST_TRIPS = 20


def versions(contender: Any) -> dict[str, str]:
    """Return what is installed here."""
    found = {}
    for name in contender.VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "-"
    return found


def timed(action: Callable[[list[Any]], None], warm: list[Any], args: list[Any]) -> dict[str, float]:
    """Return wall and CPU seconds of an action."""
    action(warm)
    began, used = time.perf_counter(), time.process_time()
    action(args)
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}


async def atimed(action: Callable[[list[Any]], Awaitable[None]], warm: list[Any], args: list[Any]) -> dict[str, float]:
    """Asyncio twin of `timed`."""
    await action(warm)
    began, used = time.perf_counter(), time.process_time()
    await action(args)
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}


def one(contender: Any, task: str, warm: list[Any], args: list[Any]) -> Any:
    """Enqueue one at a time."""
    if hasattr(contender, "send"):

        def action(some: list[Any]) -> None:
            for arg in some:
                contender.send(task, arg)

        return timed(action, warm, args)

    async def aaction(some: list[Any]) -> None:
        for arg in some:
            await contender.asend(task, arg)

    return atimed(aaction, warm, args)


def bulk(contender: Any, task: str, warm: list[Any], args: list[Any]) -> Any:
    """Enqueue all, the fastest way there is: in bulk, or, where the library has no such thing, one by one but together."""
    if hasattr(contender, "send_many"):
        return timed(lambda some: contender.send_many(task, some), warm[:1], args)
    if hasattr(contender, "asend_many"):
        return atimed(lambda some: contender.asend_many(task, some), warm[:1], args)

    async def action(some: list[Any]) -> None:
        for few in chunks(some, getattr(contender, "TOGETHER", 1000)):
            await asyncio.gather(*(contender.asend(task, arg) for arg in few))

    return atimed(action, warm[:1], args)


def together(contender: Any, task: str, warm: list[Any], args: list[Any]) -> Any:
    """Enqueue from many coroutines of one event loop."""

    async def action(some: list[Any]) -> None:
        left = iter(some)

        async def sender() -> None:
            for arg in left:
                await contender.asend(task, arg)

        await asyncio.gather(*(sender() for _ in range(AT_ONCE)))

    return atimed(action, warm, args)


def trips(contender: Any, task: str, warm: list[Any], args: list[Any]) -> Any:
    """Send a call and wait for its value, again and again, while there is time; return each trip's ms."""
    warm = warm[:WARM_TRIPS]
    if hasattr(contender, "send"):
        for arg in warm:
            _trip(contender, task, arg)
        found, until = [], time.monotonic() + SECONDS
        while len(found) < len(args) and (len(found) < LEAST_TRIPS or time.monotonic() < until):
            found.append(_trip(contender, task, args[len(found)]))
        return {"ms": found}

    async def all_trips() -> dict[str, list[float]]:
        for arg in warm:
            await _atrip(contender, task, arg)
        found, until = [], time.monotonic() + SECONDS
        while len(found) < len(args) and (len(found) < LEAST_TRIPS or time.monotonic() < until):
            found.append(await _atrip(contender, task, args[len(found)]))
        return {"ms": found}

    return all_trips()


def _trip(contender: Any, task: str, arg: Any) -> float:
    began = time.perf_counter()
    value = contender.wait(contender.send(task, arg))
    took = time.perf_counter() - began
    assert value == arg, f"{task}({arg!r:.40}) came back as {value!r:.40}"
    return took * 1000


async def _atrip(contender: Any, task: str, arg: Any) -> float:
    began = time.perf_counter()
    if hasattr(contender, "atrip"):
        value = await contender.atrip(task, arg)
    else:
        value = await contender.await_value(await contender.asend(task, arg))
    took = time.perf_counter() - began
    assert value == arg, f"{task}({arg!r:.40}) came back as {value!r:.40}"
    return took * 1000


def steadily(contender: Any, task: str, _warm: list[Any], args: list[Any]) -> Any:
    """Send 200 calls a second, as a load that others work under."""

    async def send(arg: Any) -> None:
        if hasattr(contender, "send"):
            contender.send(task, arg)
        else:
            await contender.asend(task, arg)

    async def all_calls() -> dict[str, int]:
        print("begun", flush=True)
        began = time.monotonic()
        for n, arg in enumerate(args):
            await asyncio.sleep(max(0.0, began + n / 200 - time.monotonic()))
            await send(arg)
        return {"sent": len(args)}

    return all_calls()


def shape(contender: Any, name: str, _warm: list[Any], args: list[Any]) -> Any:
    """Send a workflow of as many steps as the first number says, wait for its value, again and again; return each one's ms."""
    size, made = args[0], getattr(contender, "SHAPES", {}).get(name)
    expected = {"chain": size, "group": [1] * size, "chord": size}[name]
    if made is None:
        return {"ms": []}

    def checked(value: Any, began: float) -> float:
        took = time.perf_counter() - began
        found = list(value) if name == "group" else value
        assert found == expected, f"{name} of {size} came back as {found!r:.80}"
        return took * 1000

    if asyncio.iscoroutinefunction(made):

        async def all_of_them() -> dict[str, list[float]]:
            return {"ms": [checked(await made(size), began) for began in _times(len(args))]}

        return all_of_them()
    return {"ms": [checked(made(size), began) for began in _times(len(args))]}


def _times(count: int) -> Iterator[float]:
    for _ in range(count):
        yield time.perf_counter()


ACTIONS = {"shape": shape, "one": one, "bulk": bulk, "together": together, "trips": trips, "steadily": steadily}


async def _within(contender: Any, action: Coroutine[Any, Any, Any]) -> Any:
    if hasattr(contender, "connect"):
        await contender.connect()
    try:
        return await action
    finally:
        if hasattr(contender, "disconnect"):
            await contender.disconnect()


def main() -> None:
    """Do what the command line says."""
    name, action, task, first, count = sys.argv[1:]
    contender = importlib.import_module(f"bench.contenders.{name}")
    if action == "versions":
        print(json.dumps(versions(contender)))
        return
    args = bodies.arguments(task, int(first), int(count))
    warm = bodies.arguments(task, int(first) + int(count), WARM_UP)
    found = ACTIONS[action](contender, task, warm, args)
    print(json.dumps(asyncio.run(_within(contender, found)) if asyncio.iscoroutine(found) else found), flush=True)


if __name__ == "__main__":
    main()
