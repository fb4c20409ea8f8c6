"""Makes the calls that `consumer` asks for, one after another: in a thread, and in asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hotqueue.messages.consumer import Call, Steps
from hotqueue.store.store import Store


def drive(steps: Steps, make: Callable[[Call], Any]) -> Any:
    """Make the calls that `steps` yields, one after another; return what it returns."""
    reply = None
    while True:
        try:
            call = steps.send(reply)
        except StopIteration as end:
            return end.value
        reply = make(call)


def send(store: Store, call: Call) -> Any:
    """Make one call that does not block."""
    if call.script is None:
        return store.command(call.keys[0], *call.args, doing=call.doing)
    return store.run(call.script, call.keys, call.args, call.doing)


async def adrive(steps: Steps, make: Callable[[Call], Awaitable[Any]]) -> Any:
    """Asyncio twin of `drive`."""
    reply = None
    while True:
        try:
            call = steps.send(reply)
        except StopIteration as end:
            return end.value
        reply = await make(call)


async def asend(store: Store, call: Call) -> Any:
    """Asyncio twin of `send`."""
    if call.script is None:
        return await store.acommand(*call.args, doing=call.doing)
    return await store.arun(call.script, call.keys, call.args, call.doing)
