"""Drives a generator that a task made: each item goes to its outlet; what it returns is the task's value.

What happens between two items (a limit, a worker that was given up, an item that cannot travel) is raised where it yielded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol

from hotqueue.tasks.execution import forks

PAUSE, LONGEST_PAUSE = 0.0005, 0.02  # seconds


class Outlet(Protocol):
    """Where the items of one run of a task go.

    Attributes:
        is_full: it takes no more just now.
        is_done: all that it took is stored, after `end`; or it failed.
    """

    @property
    def is_full(self) -> bool: ...

    @property
    def is_done(self) -> bool: ...

    def put(self, value: Any) -> None:
        """Take an item; raises what an earlier one met."""

    def end(self) -> None:
        """Take no more."""

    def check(self) -> None:
        """Raise what an item met."""


def drain(generator: Generator[Any, Any, Any], outlet: Outlet) -> Any:
    """Run a generator to its end, in this thread; return what it returned."""
    before = forks.count
    try:
        value = _driven(generator, outlet, before)
    except BaseException:
        if forks.count == before:
            outlet.end()
            _wait_until_done(outlet)
        raise
    outlet.end()
    _wait_until_done(outlet)
    outlet.check()
    return value


def _driven(generator: Generator[Any, Any, Any], outlet: Outlet, before: int) -> Any:
    go_on, given = generator.send, None
    while True:
        try:
            item = go_on(given)
        except StopIteration as end:
            return end.value
        if forks.count != before:
            forks.leave_if_forked(before)
        try:
            if outlet.is_full:
                _wait_for_room(outlet)
            outlet.put(item)
        except BaseException as error:
            go_on, given = generator.throw, error
        else:
            go_on, given = generator.send, None


def _wait_for_room(outlet: Outlet) -> None:
    pause = PAUSE
    while outlet.is_full:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _wait_until_done(outlet: Outlet) -> None:
    pause = PAUSE
    while not outlet.is_done:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def adrain(generator: AsyncGenerator[Any, Any], outlet: Outlet) -> None:
    """Run an asynchronous generator to its end, in the running loop."""
    try:
        await _adriven(generator, outlet)
    except BaseException:
        outlet.end()
        await _done(outlet)
        raise
    outlet.end()
    await _done(outlet)
    outlet.check()


async def _adriven(generator: AsyncGenerator[Any, Any], outlet: Outlet) -> None:
    go_on, given = generator.asend, None
    while True:
        try:
            item = await go_on(given)
        except StopAsyncIteration:
            return
        try:
            if outlet.is_full:
                await _room(outlet)
            outlet.put(item)
        except BaseException as error:
            go_on, given = generator.athrow, error
        else:
            go_on, given = generator.asend, None


async def _room(outlet: Outlet) -> None:
    pause = PAUSE
    while outlet.is_full:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _done(outlet: Outlet) -> None:
    pause = PAUSE
    while not outlet.is_done:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
