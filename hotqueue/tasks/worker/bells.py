"""Bells: which connections listen to the bells of which of a worker's queues; queues come and go.

When to listen, and what follows from a ring, is in idle.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from hotqueue.keys import raw
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.wake_connection import WakeConnection

LONGEST_SLEEP = 3.0  # seconds; only in case a ring was lost: bells ring for every task


class Bells:
    """The bells of one worker.

    Args:
        brokers: the queues, by their numbers.
        waits_for_servers: False where a connection is made by another thread.

    Attributes:
        silent: the numbers of queues whose bells are not listened to.
    """

    def __init__(self, brokers: Mapping[int, Broker], waits_for_servers: bool) -> None:
        self._brokers = dict(brokers)
        self._waits_for_servers = waits_for_servers
        self._connections: dict[int, WakeConnection] = {}  # by store, or of a Cluster, by queue
        self._kinds = ""
        self.silent: set[int] = set()

    def listen_to(self, kinds: str) -> None:
        """Change which bells are listened to."""
        if kinds == self._kinds:
            return
        self._close_connections()
        self._kinds = kinds
        self._connections = {}
        for n in self._brokers:
            self._listen_for(n)

    def _listen_for(self, queue: int) -> WakeConnection:
        broker = self._brokers[queue]
        group = _group(queue, broker)
        if group not in self._connections:
            self._connections[group] = WakeConnection(broker, LONGEST_SLEEP, self.silent)
            self._connections[group].is_broken = not self._waits_for_servers
        connection = self._connections[group]
        connection.queues.update((raw(broker.bell_key(kind)), queue) for kind in self._kinds)
        return connection

    def add(self, queue: int, broker: Broker) -> bool:
        """Listen for one queue more; False where others of its connection may have rung, unnoticed, while that was dropped."""
        self._brokers[queue] = broker
        connection = self._listen_for(queue)
        if not connection.awaits_reply:
            return True
        connection.drop()  # it asks for the others alone, for seconds
        return False

    def remove(self, queue: int) -> None:
        """Listen for a queue no more."""
        group = _group(queue, self._brokers.pop(queue))
        connection = self._connections[group]
        connection.queues = {bell: number for bell, number in connection.queues.items() if number != queue}
        if not connection.queues:
            connection.drop()
            del self._connections[group]

    @property
    def is_connected(self) -> bool:
        """True while all bells are listened to, as far as this side knows."""
        return all(each.blocking.is_connected for each in self._connections.values())

    def _close_connections(self) -> None:
        for connection in self._connections.values():
            if not connection.is_broken:
                connection.drop()


def _group(queue: int, broker: Broker) -> int:
    """Return what queues have in common that one connection listens for."""
    return queue if broker.store.is_cluster else id(broker.store)
