"""A connection of one thread's own, for commands that block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import redis.exceptions as rx

from hotqueue.errors import ConnectionFailed
from hotqueue.store.connection import fileno, is_open, is_stale, new_connection, packed, peer, reply_or_error
from hotqueue.store.exchange import Exchange, Sent
from hotqueue.store.pool import Idle
from hotqueue.store.timeouts import BLOCK_MARGIN

T = TypeVar("T")


class Blocking:
    """A connection for commands that block, owned by one thread.

    `send` and `receive` are apart so that the owner can wait for several of them, and for other things, with select().
    """

    def __init__(self, exchange: Exchange, key: str, block: float) -> None:
        self._exchange, self._pool, self._key, self._block = exchange, exchange.pool, key, block
        self._connection: Any = None
        self.connects = 0  # how often it was opened

    def connect(self) -> None:
        """Connect where that is needed."""
        pool = self._pool
        if pool.suspect:
            pool.look_again()
        if self._connection is None:
            self._connection = new_connection(pool.connections_to(self._key), self._block + BLOCK_MARGIN)
        if pool.watch is not None:
            pool.leave_old_master(self._connection)
        if not is_open(self._connection) or is_stale(self._connection):
            pool.connect(self._connection)
            self.connects += 1

    def call(self, *args: Any) -> Any:
        """Send a command and wait for its reply."""
        self.send(*args)
        return self.receive()

    def send(self, *args: Any) -> None:
        """Send a command without waiting for the reply; connects first where needed."""
        self.connect()
        self._send(packed(self._connection, args))

    def send_packed(self, commands: bytes) -> None:
        """Send commands as they go over the wire, in one go; each one's reply is received in its turn."""
        self.connect()
        self._send([commands])

    def send_more(self, commands: bytes) -> None:
        """As `send_packed`, but over the connection as it is, with whatever has come over it; never over a new one.

        Raises:
            ConnectionFailed: it is closed.
        """
        if not self.is_connected:
            raise ConnectionFailed(f"{self._key}: the connection was closed", sent=False)
        self._send([commands])

    def exchange(self, commands: bytes, count: int) -> list[Any]:
        """Send so many commands as they go over the wire, in one go, and wait for all their replies."""
        self.connect()

        def exchanged() -> list[Any]:
            self._connection.send_packed_command([commands], check_health=False)
            return [self._connection.read_response() for _ in range(count)]

        return self._guarded(exchanged)

    def last(self, script: tuple[Any, ...], doing: str) -> Sent:
        """Return what receives the reply of a script call that was sent as the last of several commands.

        Args:
            script: the call with its text, as an EVAL: for a server that does not have it.
        """
        return Sent(self._exchange, Idle(), self._connection, script, doing)

    def _send(self, parts: Sequence[bytes]) -> None:
        self._guarded(partial(self._connection.send_packed_command, parts, check_health=False))

    def has_answered(self, seconds: float = 0) -> bool:
        """Wait so long at most until there is something to receive."""
        return bool(self._guarded(partial(self._connection.can_read, timeout=seconds)))

    def receive(self) -> Any:
        """Wait for the reply of the last command."""
        return self._guarded(self._connection.read_response)

    def receive_or_error(self) -> Any:
        """As `receive`, but what the server refuses is returned, as redis-py's error: it is no end of the connection."""
        return self._guarded(partial(reply_or_error, self._connection))

    def peer(self) -> Any:
        """Return the address of the server, as far as this side knows it."""
        return peer(self._connection)

    def fileno(self) -> int:
        """Return the socket's descriptor, for select()."""
        return fileno(self._connection)

    @property
    def is_connected(self) -> bool:
        """True while the connection is open as far as this side knows."""
        return self._connection is not None and is_open(self._connection)

    def _guarded(self, exchange: Callable[[], T]) -> T:
        try:
            return exchange()
        except rx.AskError as error:
            self.close()
            self._pool.suspect = True
            raise ConnectionFailed(f"{self._key} has moved to another node: {error}", sent=False) from error
        except BaseException as error:
            connection = self._connection
            self.close()
            if isinstance(error, rx.RedisError | rx.RedisClusterException | OSError):
                self._pool.note_failure(connection, error)
                raise self._pool.translated(error, "waiting") from error
            raise

    def distrust(self) -> None:
        """Drop this and the idle connections of the store: no reply came, and what else was open then may be as dead."""
        self.close()
        self._pool.drop_idle()

    def close(self) -> None:
        """Drop the connection; the next `send` opens another."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None
