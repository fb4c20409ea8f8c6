"""What a call makes: a value, something to await, or what has not begun to run, such as a generator. Pure.

A task is what its body does. Where a call only makes a coroutine, that is awaited; where the task itself yields, its items are a
stream. Another generator, which a task only returns, is refused: to store nothing of it as a success would hide that nothing
happened.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import _AsyncGeneratorContextManager, _GeneratorContextManager
from functools import partial
from types import CoroutineType
from typing import Any

# Of most results; none of them is anything but a value.
VALUES = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple, set, frozenset})
_UNBEGUN = {  # what it is called, and what of it has not run
    (Generator, AsyncGenerator): ("generator", "body"),
    (map, filter): ("map or filter", "function"),
    (_GeneratorContextManager, _AsyncGeneratorContextManager): ("context manager", "body"),
}
INSTEAD = "return a list (such as list(...) of it), or write the task itself with `yield`, which makes it a stream"


class NotAwaited:
    """What can be awaited, and yet is a value where a task returns it.

    Those are our results: one may be of a task that waits for the one that returns it.
    """

    __slots__ = ()


class Replacement:
    """What takes the place of a task that returns it: a signature."""

    __slots__ = ()


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling `function` surely makes a coroutine, or an asynchronous generator: an `async def`.

    Also as a partial or as `__call__`. What a decorator wrapped does not count: many run the coroutine themselves and return its
    value.
    """
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in _called(function))


def makes_generator(function: Callable[..., Any]) -> bool:
    """Tell whether calling `function` surely makes a generator: one with `yield`, found as in `is_async`."""
    return any(
        (inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each)) and not _is_coroutine_in_disguise(each)
        for each in _called(function)
    )


def is_awaitable(value: Any) -> bool:
    """Tell whether a returned value is to be awaited."""
    kind = type(value)
    return kind is CoroutineType or (kind not in VALUES and inspect.isawaitable(value) and not isinstance(value, NotAwaited))


def refuse_made_generator(value: Any, name: str) -> None:
    """Raise TypeError for a returned generator, or what is as lazy: the body of the task has not begun."""
    for kinds, (what, part) in _UNBEGUN.items():
        if isinstance(value, kinds):
            instead = "enter it in the task, by `with`" if what == "context manager" else INSTEAD
            raise TypeError(f"{name} returned a {what}, whose {part} has not run; {instead}")


def _called(function: Callable[..., Any]) -> list[Any]:
    """Return the function behind partials, and what is called when it is an object."""
    while isinstance(function, partial):
        function = function.func
    return [function, getattr(type(function), "__call__", None)]  # noqa: B004  (not whether: what)


def _is_coroutine_in_disguise(function: Any) -> bool:
    """Tell whether a generator function was made a coroutine function: by `types.coroutine`, or marked as one."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return bool(flags & inspect.CO_ITERABLE_COROUTINE) or inspect.iscoroutinefunction(function)
