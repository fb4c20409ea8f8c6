"""`queue.testing()`: tasks run at once and in this process, and nothing leaves it. Why so: docs/decisions/0025.

Here: how it is opened and closed. What happens inside is in `sandbox`.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from hotqueue.runtime import testing_mode
from hotqueue.tasks.testing.sandbox import Sandbox

F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.RLock()
_users = 0


class Eager:
    """Opens the sandbox: a context manager, sync and async, and a decorator. Blocks may be nested, and overlap: they share it.

    A handle that was made inside still answers after the last block was left.
    """

    def __enter__(self) -> Self:
        global _users
        with _lock:
            _users += 1
            if testing_mode.sandbox is None:
                testing_mode.sandbox = Sandbox()
        return self

    def __exit__(self, *exc: object) -> None:
        global _users
        with _lock:
            _users -= 1
            if _users:
                return
            sandbox, testing_mode.sandbox = testing_mode.sandbox, None
        assert isinstance(sandbox, Sandbox)
        sandbox.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc: object) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        """Have a function, sync or async, run inside."""

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return awaited if inspect.iscoroutinefunction(function) else called  # type: ignore[return-value]


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    if isinstance(testing_mode.sandbox, Sandbox):
        testing_mode.sandbox.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
