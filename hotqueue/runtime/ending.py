"""What a program can still do while it ends: in `atexit`, and in threads that outlive the main one.

Knows no store. An ending Python gives no threads for work, 3.12 none at all, and refuses to import `concurrent.futures.thread`,
and with it redis-py: so that module is imported here, before any call. Where even this file comes too late, something takes
its place.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

try:
    concurrent.futures.ThreadPoolExecutor  # noqa: B018  (imports the module)
except RuntimeError:

    class _Refusing(concurrent.futures.Executor):
        """What redis-py finds instead, to import; its own `submit` refuses, as that of the real one would."""

    concurrent.futures.ThreadPoolExecutor = _Refusing  # type: ignore[misc, assignment]


def is_ending() -> bool:
    """Tell whether the main thread has ended."""
    return not threading.main_thread().is_alive()


def start_thread(thread: threading.Thread) -> bool:
    """Start a thread; False: it cannot be had any more, because the program ends."""
    try:
        thread.start()
    except RuntimeError as error:
        if is_ending() or "shutdown" in str(error):  # where `threading` is imported as late as that, its main thread is alive
            return False
        raise
    return True


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """As `asyncio.to_thread`; here, while the program ends."""
    return function(*args) if is_ending() else await asyncio.to_thread(function, *args)


def look_up_names_here(loop: asyncio.AbstractEventLoop) -> None:
    """Have a loop look up host names without a thread, while the program ends."""
    if is_ending() and "getaddrinfo" not in vars(loop):
        loop.getaddrinfo = _getaddrinfo  # type: ignore[method-assign]


async def _getaddrinfo(*args: Any, **kwargs: Any) -> Any:
    return socket.getaddrinfo(*args, **kwargs)
