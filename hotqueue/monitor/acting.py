"""Acting: what commands, screens and pages do to queues and to tasks that somebody has chosen. Unpickles nothing.

A queue is made of a store here, with none of its code: tasks go by their names.
"""

from __future__ import annotations

from hotqueue.queue import HotQueue
from hotqueue.store.store import Store
from hotqueue.tasks.client.registry import registry_of


def queue_at(store: Store, name: str) -> HotQueue:
    """Return a queue of a store, over its connections."""
    made = HotQueue(name, url="redis://localhost")  # connects to nothing
    registry_of(made).move(store)
    return made
