"""What an exception holds is let go of, on every way from a failure to its outcome, without the collector's help."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue.errors import Reject, Retry
from hotqueue.tasks.execution.clean_context import CleanContext
from hotqueue.tasks.execution.executor import Call, execute
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.execution.tracebacks import let_go
from tests.support.durations import atake_time
from tests.tasks.test_context import request_of


class Canary:
    """What a task has in hand."""


held: list[weakref.ref[Canary]] = []


def canary() -> Canary:
    made = Canary()
    held.append(weakref.ref(made))
    return made


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    held.clear()
    gc.disable()
    yield
    gc.enable()


def raises() -> None:
    kept = canary()
    raise ValueError(kept is None)


def handles() -> None:
    kept = canary()
    try:
        raise KeyError
    except KeyError as error:
        saved, kept = error, kept
        raise ValueError(str(saved)) from error


def groups() -> None:
    kept, errors = canary(), []
    for _ in range(2):
        try:
            raise OSError(kept is None)
        except OSError as error:
            errors.append(error)
    raise ExceptionGroup("many", [ExceptionGroup("inner", errors)])


def asks_for_a_retry() -> None:
    kept = canary()
    try:
        raise ValueError(kept is None)
    except ValueError as error:
        raise Retry(exc=error) from None


def asks_for_a_wrong_one() -> None:
    kept = canary()
    raise Retry(countdown=-1 - (kept is None))


def rejects() -> None:
    kept = canary()
    raise Reject(str(kept is None))


def returns_what_cannot_be_stored() -> Any:
    kept, generator = canary(), (n for n in [])
    return lambda: (kept, generator)


def returns_a_generator() -> Any:
    kept = canary()
    return (kept for _ in [])


def misfits(_: int) -> None:
    """Not called: the argument is missing."""


async def raises_later() -> None:
    kept = canary()
    await asyncio.sleep(0)
    raise ValueError(kept is None)


async def raises_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(raises_later())


async def sleeps() -> None:
    kept = canary()
    await atake_time(20 + (kept is None))


def caller_of(call: Call, loop: EventLoop) -> Any:
    """Run a call, as a worker does: from a frame that has its outcome at hand."""
    outcome = execute(call, CleanContext().fresh(), loop.run)
    return outcome.error


SYNC: list[Callable[..., Any]] = [
    raises,
    handles,
    groups,
    asks_for_a_retry,
    asks_for_a_wrong_one,
    rejects,
    returns_what_cannot_be_stored,
    returns_a_generator,
]
ASYNC: list[Callable[..., Any]] = [raises_later, raises_in_a_group, sleeps]


@pytest.mark.parametrize("function", [*SYNC, *ASYNC], ids=lambda function: function.__name__)
def test_a_failure_keeps_nothing(function: Callable[..., Any]) -> None:
    loop = EventLoop()
    for _ in range(3):
        call = Call("it", lambda: (function, (), {}), request_of(), function in ASYNC, 0.05 if function is sleeps else None)
        error = caller_of(call, loop)
        assert error is not None
    loop.stop()
    del error
    assert len(held) == 3
    assert [each() for each in held] == [None] * 3


def test_an_error_that_others_keep_and_go_on_with_stays_theirs() -> None:
    """A coroutine that handed its error on and goes on is not ended by that."""

    async def main() -> str:
        handed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def goes_on() -> str:
            try:
                raise ValueError
            except ValueError as error:
                handed.set_exception(error)
            await atake_time(0.01)
            return "went on"

        other = asyncio.create_task(goes_on())
        try:
            await handed
        except ValueError as error:
            let_go(error)
        return await other

    assert asyncio.run(main()) == "went on"
