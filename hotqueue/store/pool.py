"""A process's connections to a store: built, lent to one user at a time, looked at again after a failure.

Under all that sends something: nothing here does. Every client is built without transparent retry (a replayed RPUSH is a
doubled message), with a socket timeout for each kind of command, protocol 2.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import redis.exceptions as rx

from hotqueue.errors import HotQueueError
from hotqueue.runtime import descriptors
from hotqueue.store import clients
from hotqueue.store.address import Address
from hotqueue.store.connection import is_open, is_stale, new_connection, set_timeout
from hotqueue.store.sentinel import Watch
from hotqueue.store.timeouts import COMMAND_TIMEOUT, Limits
from hotqueue.store.translation import is_of_replica, meaning

if TYPE_CHECKING:
    from hotqueue.embedded.server import EmbeddedServer

FRESH = 1.0  # seconds after its last reply for which a connection is taken to be open without a look


class Idle:
    """The open connections to one server that nobody uses just now; for any thread."""

    def __init__(self) -> None:
        self._connections: list[tuple[Any, float]] = []

    def put(self, connection: Any) -> None:
        """Take in a connection that has just answered."""
        self._connections.append((connection, time.monotonic()))

    def take(self) -> tuple[Any, bool]:
        """Return the one that answered last, and whether that was just now; IndexError when there is none."""
        connection, answered = self._connections.pop()
        return connection, time.monotonic() - answered < FRESH

    def drop(self) -> None:
        """Close them all."""
        with contextlib.suppress(IndexError):  # other threads take from them as well
            while True:
                self._connections.pop()[0].disconnect()


class Pool:
    """The connections of one process to a store; a forked child opens its own.

    1. `client` is built on first use: an embedded server is found or started, sentinels are asked, a cluster's layout is learned.
    2. `take` lends a connection to the server that holds a key, open as far as can be told without sending anything.
    3. Its user sends, and receives; then the connection goes back to where it came from, or through `give_back` after an error.
    4. After a failure the store is `suspect`: the next user looks again for the server, the master, the layout, before it sends.

    Args:
        label: what the store is called in errors.
        limits: how long a command of a thread may take.
        starts_threads: False in a process that forks: then sentinels are asked in no thread beside the work.

    Attributes:
        suspect: True when something failed since the last look.
        watch: of the sentinels; made with the client.
    """

    def __init__(
        self, address: Address, server: EmbeddedServer | None, label: str, limits: Limits, *, starts_threads: bool = True
    ) -> None:
        self.address = address
        self.embedded = server
        self.is_cluster = address.is_cluster
        self.limits = limits
        self._label = label
        self._starts_threads = starts_threads
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._client: Any = None
        self._only_pool: Any = None  # that of the client; None in a Cluster, whose nodes have one each
        self._idle: dict[Any, Idle] = {}  # by redis-py's pool of their server
        self.watch: Watch | None = None
        self.suspect = False
        self._silent: dict[tuple[str, int], float] = {}  # nodes of a Cluster that failed, and when (monotonic)

    def check_process(self) -> None:
        """Start anew in a forked child."""
        if self._pid != os.getpid():
            self._forget()
            self.limits.reset()

    # --- the client ----------------------------------------------------------------------------------------------

    def client(self) -> Any:
        """Return this process's redis client (built on first use; embedded: the server is found or started)."""
        self.check_process()
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._built()
        return self._client

    def _built(self) -> Any:
        try:
            client = clients.build(self.address, self.embedded)
            self.watch = clients.watch(client, beside=self._starts_threads)
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:  # a cluster client connects at once
            raise self.translated(error, "connecting", sent=False) from error
        self._only_pool = None if self.is_cluster else client.connection_pool
        return client

    def connections_to(self, key: str | bytes) -> Any:
        """Return redis-py's pool for the server that holds `key`: it knows how a connection is made."""
        client = self.client()
        if not self.is_cluster:
            return client.connection_pool
        try:
            return client.get_redis_connection(client.get_node_from_key(key)).connection_pool
        except rx.RedisClusterException as error:  # no node has this slot, as far as we know: look again
            self.suspect = True
            raise self.translated(error, "finding the node", sent=False) from error

    def place_of(self, key: str | bytes) -> str:
        """Return a name for the node of a Cluster that holds `key`, as far as that is known; "" where there is but one server."""
        if not self.is_cluster or self._client is None or self._pid != os.getpid():
            return ""
        try:
            return str(getattr(self._client.get_node_from_key(key), "name", ""))
        except (rx.RedisClusterException, KeyError, IndexError):
            return ""

    # --- connections ---------------------------------------------------------------------------------------------

    def take(self, key: str | bytes, repeatable: bool = False, recoverable: bool = False) -> tuple[Idle, Any]:
        """Return an open connection to the server that holds `key`, and where it goes afterwards.

        Args:
            repeatable: the command may be sent again at once, so that a look at the connection is not worth its time.
            recoverable: an error costs its sender more than that; but of a connection that has just answered, none is likely.
        """
        # No calls where nothing is to be done: every task comes this way.
        if self._pid != os.getpid():
            self.check_process()
        if self.suspect:
            self.look_again()
        pool = self._only_pool or self.connections_to(key)
        idle = self._idle.get(pool)
        if idle is None:
            idle = self._idle.setdefault(pool, Idle())
        try:
            connection, is_fresh = idle.take()
        except IndexError:
            connection, is_fresh = new_connection(pool, COMMAND_TIMEOUT), False
        if self.watch is not None:
            self.leave_old_master(connection)
        if connection._sock is not None and (repeatable or (recoverable and is_fresh) or not is_stale(connection)):
            return idle, connection
        self.connect(connection)
        return idle, connection

    def give_back(self, idle: Idle, connection: Any, error: BaseException, is_large: bool = False) -> None:
        """Keep a connection that only answered with an error; drop one whose reply may still be under way.

        Args:
            is_large: what was answered is large: whoever refuses that may close as well.
        """
        if isinstance(error, rx.ResponseError) and not (is_of_replica(error) or is_large):
            idle.put(connection)
        else:
            connection.disconnect()
            self.note_failure(connection, error)

    def connect(self, connection: Any) -> None:
        """Connect before anything is sent, so that a failure is known to have changed nothing."""
        descriptors.fill_standard()  # else the socket may be what a program that closed its stdout prints into
        usual = connection.socket_timeout, getattr(connection, "socket_connect_timeout", None)
        left = self.limits.left()
        for last in (False, True):
            try:
                if left < COMMAND_TIMEOUT:
                    connection.socket_timeout, connection.socket_connect_timeout = left, left
                connection.connect()
                if left < COMMAND_TIMEOUT:
                    set_timeout(connection, usual[0])
                return
            except (rx.RedisError, OSError) as error:
                connection.disconnect()
                self.note_failure(connection, error)
                if last or self.embedded is None:
                    which = f" to {connection.host}:{connection.port}" if self.address.kind == "cluster" else ""
                    raise self.translated(error, f"connecting{which}", sent=False) from error
                self.look_again()
            finally:
                connection.socket_timeout, connection.socket_connect_timeout = usual

    def leave_old_master(self, connection: Any) -> None:
        """Close a connection to a server that the sentinels do not name any more: what it takes may be thrown away."""
        assert self.watch is not None
        self.watch.look()
        if is_open(connection) and not self.watch.is_current(connection):
            connection.disconnect()

    def drop_idle(self) -> None:
        """Close the connections that are open and not in use."""
        for idle in list(self._idle.values()):
            idle.drop()

    def close(self) -> None:
        """Close this process's connections."""
        self.check_process()
        self.drop_idle()
        if self.watch is not None:
            self.watch.close()
        if self._client is not None:
            self._client.close()
        self._forget()

    # --- failures ------------------------------------------------------------------------------------------------

    def note_failure(self, connection: Any, error: BaseException) -> None:
        """Have the next command look again for the server, the master, the layout; but not by asking the one that failed.

        Where no answer came, those that were open to the same server then may be as dead, and each would cost as long again.
        """
        self.suspect = True
        node = (getattr(connection, "host", ""), int(getattr(connection, "port", 0))) if self.is_cluster else None
        if node is not None:
            self._silent[node] = time.monotonic()
        if isinstance(error, rx.TimeoutError | TimeoutError):
            for pool, idle in list(self._idle.items()):
                if node is None or _node_of(pool) == node:
                    idle.drop()

    def look_again(self) -> None:
        """After a failure: start a dead embedded server again, learn a changed cluster layout."""
        self.suspect = False
        if self.embedded is not None:
            self.embedded.ensure(after_error=True)
        elif self._client is not None and self.is_cluster:
            try:
                clients.ask_others_first(self._client.nodes_manager, self._silent)
                self._client.nodes_manager.initialize()
            except (rx.RedisError, rx.RedisClusterException, OSError) as error:
                self.suspect = True
                raise self.translated(error, "asking the cluster for its layout", sent=False) from error

    def translated(self, error: BaseException, doing: str, *, sent: bool = True) -> HotQueueError:
        """Return what an error of redis-py means, in our words."""
        tls = bool(self.address.options.get("ssl"))
        return meaning(error, f"{doing or 'talking to Redis'} at {self._label}", sent=sent, tls=tls)


def _node_of(pool: Any) -> tuple[str, int]:
    """Return host and port that redis-py's pool of a node of a Cluster connects to."""
    return pool.connection_kwargs.get("host", ""), int(pool.connection_kwargs.get("port", 0))
