"""Running a workflow in place: what a call only made is awaited, or gone through, and a signature that one returned is run.

Sends nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from hotqueue.tasks.context import Replace
from hotqueue.tasks.rules.callables import is_awaitable
from hotqueue.tasks.workflow.signature import Signature, form_of


def value_of(made: Any) -> Any:
    """Return what a step made, once it is a value: of an `async def` task what comes of it, of a signature what that makes.

    Of a task that yields it is what it returns at its end, as where workers run it.
    """
    while True:
        if isinstance(made, Signature):
            made = form_of(made).run((), {})
        elif is_awaitable(made):
            made = _awaited(made)
        elif inspect.isgenerator(made):
            made = _returned(made)
        elif inspect.isasyncgen(made):
            made = _awaited(_gone_through(made))
        else:
            return made


def _returned(items: Generator[Any, Any, Any]) -> Any:
    while True:
        try:
            next(items)
        except StopIteration as end:
            return end.value


async def _gone_through(items: AsyncGenerator[Any, Any]) -> None:
    async for _ in items:
        pass


def _awaited(made: Awaitable[Any]) -> Any:
    """Return what comes of something to await: in a loop here, or in a thread beside where this thread has one."""

    async def wait() -> Any:
        try:
            return await made
        except Replace as asked:
            return asked.signature

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1, "hotqueue-workflow") as beside:
        return beside.submit(copy_context().run, asyncio.run, wait()).result()
