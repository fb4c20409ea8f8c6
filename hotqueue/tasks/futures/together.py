"""Together: several calls of one function as one task, which travels as its function does, by value if need be, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

R = TypeVar("R")


def pass_for(thing: object, function: Callable[..., Any]) -> None:
    """Give a callable the names of the function that it calls: how it travels, and what it is called in logs, goes by these."""
    for name in ("__module__", "__name__", "__qualname__"):
        if (found := getattr(function, name, None)) is not None:
            setattr(thing, name, found)


class Together(Generic[R]):
    """Calls a function several times, one call after the other.

    Args:
        function: what is called.
    """

    def __init__(self, function: Callable[..., R]) -> None:
        self._function = function
        pass_for(self, function)

    def __call__(self, calls: Iterable[tuple[Any, ...]]) -> list[R]:
        """Make the calls, whose positional arguments are given."""
        return [self._function(*args) for args in calls]
