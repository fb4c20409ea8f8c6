"""What a user's type checker sees of the queue. Checked by mypy and pyright, never run.

A line marked ``type: ignore`` must be an error: both checkers complain of a mark that is not needed.
"""

from __future__ import annotations

from typing import assert_type

from hotqueue import HotQueue, HotQueueError, QueueFull, ResultTimeout, Retry, key_for_name

queue = HotQueue("myqueue", dbfilename="/tmp/redis.rdb")
HotQueue("myqueue", url="redis://localhost", max_queue_length=10)
HotQueue("myqueue", None, None, 10)
HotQueue("myqueue", host="localhost", port=6379, db=0, password="secret")

assert_type(key_for_name("myqueue"), str)
assert_type(queue.name, str)
assert_type(queue.key, str)
assert_type(len(queue), int)
assert_type(queue.put(1, "two", None), None)

HotQueue()  # type: ignore[call-arg]
HotQueue("myqueue", max_queue_length="10")  # type: ignore[arg-type]
key_for_name(4)  # type: ignore[arg-type]


def errors_form_one_tree(full: QueueFull, late: ResultTimeout, retry: Retry) -> tuple[HotQueueError, TimeoutError, Exception]:
    """Return them as what they also are."""
    return full, late, retry
