"""The tasks of the demo: what a worker imports, and what `demo.py` sends to it."""

import os
import time

from hotqueue import HotQueue

queue = HotQueue("demo")  # where: $HOTQUEUE_URL, which demo.py sets


@queue.task
def square(n: int) -> tuple[int, int]:
    """Return n squared, and which process did it."""
    return n * n, os.getpid()


@queue.task(retries=5, retry_backoff=0.2, retry_jitter=False)
def flaky(path: str) -> int:
    """Fail twice, then work; return at which attempt."""
    with open(path, "a+") as file:
        file.write("x")
        file.seek(0)
        attempt = len(file.read())
    if attempt < 3:
        raise OSError("the network is down")
    return attempt


@queue.task
def slow(path: str) -> int:
    """Say which process runs this, then take a second; return that process."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(1)
    return os.getpid()
