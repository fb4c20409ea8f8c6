"""Functions that the tests make tasks of; at module level, so that they travel by name. What they saw is in `seen`."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

from hotqueue.tasks import Ignore, Reject, Retry, current_task
from tests.support.durations import atake_time, take_time
from tests.support.waiting import await_until

seen: list[Any] = []
mood: ContextVar[str] = ContextVar("mood", default="")


def double(n: int) -> int:
    return 2 * n


def square(n: int) -> int:
    return n * n


async def asquare(n: int) -> int:
    await asyncio.sleep(0)
    return n * n


def note(value: Any = None, **more: Any) -> Any:
    seen.append((value, more) if more else value)
    return value


async def anote(value: Any) -> Any:
    seen.append(value)
    return value


def boom(text: str = "boom") -> None:
    seen.append("boom")
    raise OSError(5, text)


def flaky(times: int) -> str:
    """Fail so many times, then return."""
    seen.append(current_task.request.retries)
    if current_task.request.retries < times:
        raise OSError(f"failure {current_task.request.retries}")
    return "done"


def request() -> dict[str, Any]:
    found = current_task.request
    names = ("id", "task", "retries", "deliveries", "queue", "eta", "headers", "worker", "lost")
    return {name: getattr(found, name) for name in names}


async def arequest() -> dict[str, Any]:
    return request()


def bound(self: Any, n: int) -> tuple[str, int, int]:
    return self.name, self.request.retries, n


def bound_retry(self: Any, **options: Any) -> str:
    seen.append(self.request.retries)
    if self.request.retries < 2:
        self.retry(**options)
    return "done"


def retry_for_ever(**options: Any) -> None:
    seen.append(current_task.request.retries)
    try:
        raise OSError("the cause")
    except OSError:
        current_task.retry(countdown=0, **options)


def ask_again(**options: Any) -> int:
    if current_task.request.retries == 0:
        raise Retry(**options)
    return current_task.request.retries


def reject(reason: str) -> None:
    raise Reject(reason)


def ignore() -> None:
    seen.append("ignored")
    raise Ignore


def progress(done: int) -> None:
    current_task.update_progress(done, 10, "on the way")


def lock() -> Any:
    return threading.Lock()


def large(size: int) -> bytes:
    return b"x" * size


def raise_it(error: BaseException) -> None:
    raise error


meeting = threading.Barrier(1)


def meet(n: int) -> int:
    """Return once as many run side by side as `meeting` waits for."""
    meeting.wait(10)
    return n


_inside = 0


async def crowd(_: None) -> int:
    """Return how many of these ran at once."""
    global _inside
    _inside += 1
    await atake_time(0.05)
    found = _inside
    await asyncio.sleep(0)
    _inside -= 1
    return found


go_on = threading.Event()


def hold(value: Any) -> Any:
    """Return once `go_on` is set."""
    seen.append(value)
    go_on.wait(20)
    return value


async def ahold(value: Any) -> Any:
    seen.append(value)
    try:
        await await_until(go_on.is_set, 60)
    except asyncio.CancelledError:
        seen.append("LeaseLost" if current_task.lost else "cancelled")
        raise
    return value


_beside = 0


def beside(n: int) -> int:
    global _beside
    _beside += 1
    take_time(0.005)
    _beside -= 1
    return n


async def abeside(n: int) -> int:
    global _beside
    _beside += 1
    await atake_time(0.005)
    _beside -= 1
    return n


def alone() -> int:
    """Return how many others ran meanwhile, at most."""
    most = 0
    for _ in range(20):
        most = max(most, _beside)
        take_time(0.002)
    return most


def nap(seconds: float) -> None:
    take_time(seconds)
