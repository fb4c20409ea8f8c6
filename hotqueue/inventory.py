"""What a store holds: its queues, how much waits in each, which server answers. Reads only.

For the commands; speaks to Redis through `Store` and `Broker` alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from hotqueue import keys
from hotqueue.connection import Store
from hotqueue.tasks.broker import Broker


@dataclass(frozen=True)
class Length:
    """How much waits in one queue.

    Attributes:
        messages: raw messages in the list.
        tasks: tasks that no worker has in hand: ready, scheduled or parked, as `HotQueue.pending` counts them.
    """

    name: str
    messages: int
    tasks: int

    @property
    def items(self) -> int:
        """Messages and tasks together."""
        return self.messages + self.tasks


def length(store: Store, name: str) -> Length:
    """Return how much waits in a queue; a queue that does not exist is an empty one."""
    listed = keys.queue(keys.check_name(name))
    messages = store.command(listed, "LLEN", listed, doing=f"counting the messages of {name!r}")
    return Length(name, int(messages), _waiting_tasks(store, name))


def _waiting_tasks(store: Store, name: str) -> int:
    counts = Broker(store, name).counts()
    return counts["ready"] + counts["parked"] + counts["scheduled"]


def queue_names(store: Store) -> list[str]:
    """Return the names of all queues that have a key in the store, sorted; on a Cluster, of all its masters."""
    found = store.scan(f"*{keys.PREFIX}*")
    return sorted({keys.name_of(key.decode(errors="replace")) for key in found} - {""})


def server_version(store: Store) -> str:
    """Return what answers, such as ``Redis 7.0.15`` or ``Valkey 9.1.2``."""
    reply = store.command(keys.PREFIX, "INFO", "server", doing="asking the server for its version")
    said = dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    if valkey := said.get("valkey_version"):
        return f"Valkey {valkey}"
    return f"Redis {said.get('redis_version', 'of unknown version')}"
