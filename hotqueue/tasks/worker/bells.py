"""Bells: which connections listen to the bells of which of a worker's queues; queues come and go, and move to other nodes.

When to listen, and what follows from a ring, is in idle.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hotqueue.keys import raw
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.tracked_bells import TrackedBells
from hotqueue.tasks.broker.wake_connection import WakeConnection

LONGEST_SLEEP = 3.0  # seconds; only in case a ring was lost: bells ring for every task

Listener = WakeConnection | TrackedBells
Where = tuple[int, str]  # the store, and what it calls the node


class Bells:
    """The bells of one worker.

    Args:
        brokers: the queues, by their numbers.
        waits_for_servers: False where a connection is made by another thread, as a worker of several queues of a Cluster has it.

    Attributes:
        silent: the numbers of queues whose bells are not listened to.
        broken: the number of a queue the connection to whose bell is broken → why.
    """

    def __init__(self, brokers: Mapping[int, Broker], waits_for_servers: bool) -> None:
        self._brokers = dict(brokers)
        self._waits_for_servers = waits_for_servers
        self._connections: dict[Where, Listener] = {}
        self._of: dict[int, tuple[Where, Listener]] = {}  # by queue
        self._kinds = ""
        self.silent: set[int] = set()
        self.broken: dict[int, Exception | None] = {}

    def listen_to(self, kinds: str) -> None:
        """Change which bells are listened to; what is under way is dropped."""
        if kinds == self._kinds:
            return
        self._kinds = kinds
        for connection in self._connections.values():
            if connection.awaits_reply:
                connection.drop()
        for n in self._brokers:
            if n in self._of:
                self._of[n][1].remove(n)
            self._listen_for(n)

    def hears(self, kind: str) -> bool:
        """Tell whether bells of this kind are listened to."""
        return kind in self._kinds

    def is_asking(self, kinds: str) -> bool:
        """Tell whether a ring of these bells alone is asked for, and has not come yet."""
        return kinds == self._kinds and any(connection.awaits_reply for connection in self._connections.values())

    def _listen_for(self, queue: int) -> Listener:
        broker = self._brokers[queue]
        where = self._where(broker)
        if where not in self._connections:
            self._connections[where] = self._listener(broker)
        connection = self._connections[where]
        for kind in self._kinds:
            connection.add(raw(broker.bell_key(kind)), queue)
        self._of[queue] = where, connection
        return connection

    def _is_tracked(self, store: Store) -> bool:
        """Tell whether bells are tracked: several of a Cluster, which cannot be blocked on by one command."""
        return store.is_cluster and not self._waits_for_servers

    def _where(self, broker: Broker) -> Where:
        """Return what queues have in common that one connection listens for."""
        return id(broker.store), broker.store.place_of(broker.bell_key("s")) if self._is_tracked(broker.store) else ""

    def _listener(self, broker: Broker) -> Listener:
        if self._is_tracked(broker.store):
            return TrackedBells(broker.store, self.silent)
        made = WakeConnection(broker, LONGEST_SLEEP, self.silent)
        made.is_broken = not self._waits_for_servers
        return made

    def add(self, queue: int, broker: Broker) -> bool:
        """Listen for one queue more; False where others of its connection may have rung, unnoticed, while that was dropped."""
        self._brokers[queue] = broker
        connection = self._listen_for(queue)
        if isinstance(connection, TrackedBells) or not connection.awaits_reply:
            return True
        connection.drop()  # it asks for the others alone, for seconds
        return False

    def remove(self, queue: int) -> None:
        """Listen for a queue no more."""
        del self._brokers[queue]
        self._leave(queue)

    def _leave(self, queue: int) -> None:
        where, connection = self._of.pop(queue)
        connection.remove(queue)
        if not connection.queues:
            connection.drop()
            self._connections.pop(where, None)

    # --- nodes of a Cluster --------------------------------------------------------------------------------------

    def regroup(self, queues: Iterable[int]) -> None:
        """Listen for queues where they are now, as far as their store knows; to nodes that are new somebody has to connect."""
        for queue in queues:
            if queue in self._of and self._of[queue][0] != self._where(self._brokers[queue]):
                self._leave(queue)
                if self._listen_for(queue).is_broken:
                    self.broken[queue] = None

    def with_new_layout(self) -> list[Store]:
        """Return the Clusters whose slots may be laid out anew, once each time."""
        found: dict[int, Store] = {}
        for connection in self._connections.values():
            if isinstance(connection, TrackedBells) and connection.has_moved:
                connection.has_moved = False
                found[id(connection.store)] = connection.store
        return list(found.values())

    # --- connections ---------------------------------------------------------------------------------------------

    def connect(self, queue: int) -> None:
        """Connect to a queue's bells again, if that connection is broken; for any thread.

        Raises:
            ConnectionFailed, ConfigError: that cannot be done now.
        """
        if queue in self._of and (connection := self._of[queue][1]).is_broken:
            connection.connect()

    def reconnected(self, queue: int) -> None:
        """Listen to the bells of a queue again, after `connect`."""
        self.broken.pop(queue, None)
        if queue in self._of and (connection := self._of[queue][1]).is_connected:
            connection.is_broken = False

    @property
    def is_connected(self) -> bool:
        """True while all bells are listened to, as far as this side knows."""
        return all(each.is_connected for each in self._connections.values())

    def _close_connections(self) -> None:
        for connection in self._connections.values():
            if not connection.is_broken:
                connection.drop()
