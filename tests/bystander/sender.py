"""A process that sends the task that looks on, at even intervals: ``sender COUNT INTERVAL``."""

from __future__ import annotations

import sys
import time

from tests.bystander.tasks import look_on, queue
from tests.support.durations import let_pass


def main(count: int, interval: float) -> None:
    """Send `count` tasks, `interval` seconds apart, whatever each call takes."""
    queue.pending()  # connect before it counts
    began = time.monotonic()
    for n in range(count):
        let_pass(began + n * interval - time.monotonic())
        look_on.delay(n, time.monotonic())


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
