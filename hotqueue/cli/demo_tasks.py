"""The tasks of `hotqueue demo`: what its worker imports, and what demo.py sends to it. Named as in a module of one's own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from hotqueue import HotQueue
from hotqueue.tasks import current_task

queue = HotQueue("demo")  # where: $HOTQUEUE_URL, which demo.py sets


@queue.task(name="demo.square")
def square(n: int) -> tuple[int, int]:
    """Return n squared, and which process did it."""
    return n * n, os.getpid()


@queue.task(name="demo.total")
def total(squares: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the sum of what `square` returned, and by how many processes that was done."""
    return sum(value for value, _ in squares), len({process for _, process in squares})


@queue.task(name="demo.polite", max_concurrency=2)
def polite(seconds: float) -> tuple[float, float]:
    """Take some time; return from when to when (monotonic)."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


@queue.task(name="demo.count_down")
def count_down(n: int) -> Iterator[int]:
    """Count down, a number at a time."""
    for number in range(n, 0, -1):
        yield number
        time.sleep(0.1)


@queue.periodic(1, name="tick")
def tick() -> str:
    """Return the id of this call, which says for which second it is."""
    return current_task.request.id


@queue.task(name="demo.flaky", retries=5, retry_backoff=0.2, retry_jitter=False)
def flaky(path: str) -> int:
    """Fail twice, then work; return at which attempt."""
    with open(path, "a+") as file:
        file.write("x")
        file.seek(0)
        attempt = len(file.read())
    if attempt < 3:
        raise OSError("the network is down")
    return attempt


@queue.task(name="demo.refuse")
def refuse(what: str) -> None:
    """Fail, so that there is something in the dead list."""
    raise ValueError(f"{what} is not for sale")


@queue.task(name="demo.slow")
def slow(path: str) -> int:
    """Say which process runs this, then take a second; return that process."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(1)
    return os.getpid()


@queue.task(name="demo.rest")
def rest(seconds: float) -> None:
    """Take some time."""
    time.sleep(seconds)
