"""Running a workflow in place: what a call only made is awaited, and a signature that one returned is run. Sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from hotqueue.tasks.context import Replace
from hotqueue.tasks.rules.callables import is_awaitable
from hotqueue.tasks.workflow.signature import Signature, form_of


def value_of(made: Any) -> Any:
    """Return what a step made, once it is a value: of an `async def` task what comes of it, of a signature what that makes."""
    while True:
        if isinstance(made, Signature):
            made = form_of(made).run((), {})
        elif is_awaitable(made):
            made = _awaited(made)
        else:
            return made


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
