"""The functions that every contender makes its tasks of. Each takes one argument, notes that it ran, and returns."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from bench.ticks import Ticks

SLEEP = 0.1  # seconds
PAYLOAD = 100_000  # bytes

_ticks = Ticks(os.environ["BENCH_TICKS"])
_started, _ended, _runs = _ticks.started, _ticks.ended, _ticks.runs


def noop(n: int) -> int:
    """Do nothing."""
    _started[n] = monotonic()
    _runs[n] += 1
    return n


async def anoop(n: int) -> int:
    """Do nothing, on an event loop."""
    return noop(n)


def sleep(n: int) -> int:
    """Wait, as for a web service."""
    _started[n] = monotonic()
    time.sleep(SLEEP)
    return _end(n)


async def asleep(n: int) -> int:
    """Wait on an event loop."""
    _started[n] = monotonic()
    await asyncio.sleep(SLEEP)
    return _end(n)


def spin1(n: int) -> int:
    """Take 1 ms of CPU."""
    return _spin(n, 0.001)


def spin10(n: int) -> int:
    """Take 10 ms of CPU."""
    return _spin(n, 0.010)


def payload(text: str) -> str:
    """Return 100 KB that came as an argument; the number of the task is in front."""
    noop(int(text[:8]))
    return text


def one(_: object = None) -> int:
    """Return 1: a member of a group."""
    return 1


def more(n: int) -> int:
    """Return one more: a step of a chain."""
    return n + 1


def total(values: list[int]) -> int:
    """Return the sum: the body of a chord."""
    return sum(values)


def _spin(n: int, seconds: float) -> int:
    _started[n] = monotonic()
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return _end(n)


def _end(n: int) -> int:
    _ended[n] = monotonic()
    _runs[n] += 1
    return n


STEPS = (one, more, total)
SYNC = (noop, sleep, spin1, spin10, payload, *STEPS)
ASYNC = (anoop, asleep)


def _on_a_loop(body: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def run(arg: Any = None) -> Any:
        return body(arg)

    run.__name__ = run.__qualname__ = body.__name__
    return run


# For libraries that run everything on an event loop: a plain function would take a hop to a thread each.
COROUTINES = {body.__name__: _on_a_loop(body) for body in (noop, spin1, spin10, payload, *STEPS)} | {
    body.__name__: body for body in ASYNC
}


def arguments(task: str, first: int, count: int) -> list[int] | list[str]:
    """Return the arguments of `count` calls."""
    numbers = list(range(first, first + count))
    return [f"{n:08}".ljust(PAYLOAD, "x") for n in numbers] if task == "payload" else numbers
