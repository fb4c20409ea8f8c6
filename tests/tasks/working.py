"""Working at a queue in the process of the tests."""

from __future__ import annotations

import threading

from hotqueue import HotQueue


def work(queue: HotQueue) -> int:
    """Run what waits, in this process."""
    return queue.run_worker(burst=True)


def in_background(queue: HotQueue) -> threading.Thread:
    """Run what waits in a thread of this process."""
    thread = threading.Thread(target=work, args=(queue,))
    thread.start()
    return thread
