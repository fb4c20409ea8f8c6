"""Working at a queue in the process of the tests."""

from __future__ import annotations

import threading
from typing import Any

from hotqueue import HotQueue, keys
from hotqueue.tasks import AsyncResult


def work(queue: HotQueue) -> int:
    """Run what waits, in this process."""
    return queue.run_worker(burst=True)


def in_background(queue: HotQueue) -> threading.Thread:
    """Run what waits in a thread of this process."""
    thread = threading.Thread(target=work, args=(queue,))
    thread.start()
    return thread


def stream_readers(client: Any, result: AsyncResult[Any]) -> list[bytes]:
    """Return those whom the task knows to read it."""
    fields = client.hkeys(keys.streamed(result._handle.queue, result.id))
    return [field for field in fields if field.startswith(b"r:")]
