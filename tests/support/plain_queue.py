"""Looks at the keys of a plain queue, and a program that holds a message."""

from __future__ import annotations

from typing import Any

from hotqueue import HotQueue, keys

# Holds one message until told otherwise. Arguments: queue name, URL.
HOLD = """
import sys
from hotqueue import HotQueue
queue = HotQueue(sys.argv[1], url=sys.argv[2])
for message in queue.consume():
    print("got", message, flush=True)
    sys.stdin.readline()
"""


def listed(queue: HotQueue, thing: str) -> list[Any]:
    """Return what the list `{hotqueue:<name>}:<thing>` holds, loaded."""
    key = f"{{{queue.key}}}:{thing}"
    return [queue._codec.loads(raw) for raw in queue._store.command(key, "LRANGE", key, 0, -1)]


def waiting(queue: HotQueue) -> list[Any]:
    """Return the messages that wait, oldest first."""
    return [queue._codec.loads(raw) for raw in queue._store.command(queue.key, "LRANGE", queue.key, 0, -1)]


def consumers(queue: HotQueue) -> list[str]:
    """Return the ids of the registered consumers."""
    key = keys.consumers(queue.name)
    return [raw.decode() for raw in queue._store.command(key, "ZRANGE", key, 0, -1)]
