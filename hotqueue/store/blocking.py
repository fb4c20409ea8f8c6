"""Single connections: one whose reply is still to come, one for commands that block. Made by a Store, for one thread each.

And how something large goes over one: its deadline counts from the last bytes that were taken, not from the first, and the
server may interrupt it, to refuse.
"""

from __future__ import annotations

import array
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hotqueue import keys
from hotqueue.errors import ConnectionFailed
from hotqueue.sizes import LARGE, in_words
from hotqueue.store.clients import COMMAND_TIMEOUT

if TYPE_CHECKING:
    from hotqueue.store.store import Store

T = TypeVar("T")

LEAST_BLOCK = 0.002  # seconds to block for: 0 is for ever, and Redis 6.2 takes 0.001 for 0
BLOCK_MARGIN = 5.0  # seconds that the reply of a blocking command may come late
CHUNK = 1 << 20  # bytes of something large between two looks at what the server says
SLOWEST = 256 * 1024  # bytes a second at which what has left this machine is taken to arrive, with whatever is on the way
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


class Sent:
    """A script call whose reply is still to come, on a connection that is its own until then."""

    def __init__(self, store: Store, idle: Idle, connection: Any, whole: tuple[Any, ...], doing: str, size: int = 0) -> None:
        self._store, self._idle, self._connection, self._whole, self._doing = store, idle, connection, whole, doing
        self._size = size  # of the call, if that is large

    def receive(self) -> Any:
        """Wait for the reply; errors as of `Store.run`."""
        import redis.exceptions as rx

        try:
            if not is_open(self._connection):  # it ended while somebody looked whether it had answered
                raise rx.ConnectionError("Connection closed by server.")
            if self._size:
                await_reply(self._connection, self._size)
            reply = self._connection.read_response()
        except rx.NoScriptError as error:
            self._store._give_back(self._idle, self._connection, error)
            return self._store._asked(self._whole[3], self._whole, self._doing)
        except rx.AskError as error:
            self._store._give_back(self._idle, self._connection, error)
            return self._store._redirected(self._whole, self._doing)
        except BaseException as error:
            self._store._give_back(self._idle, self._connection, error, is_large=self._size > 0)
            if isinstance(error, rx.RedisError | rx.RedisClusterException | OSError):
                wrong = self._store._wrong_key(error, self._whole)
                raise self._store.translated(error, with_size(f"{self._doing}{wrong}", self._whole)) from error
            raise
        self._idle.put(self._connection)
        return reply

    def has_answered(self, seconds: float) -> bool:
        """Wait so long at most until the reply begins, or the connection has ended."""
        import redis.exceptions as rx

        try:
            return self._connection._sock is None or bool(self._connection.can_read(timeout=seconds))
        except (rx.RedisError, OSError):
            return True

    def fileno(self) -> int:
        """Return the descriptor of the socket, to wait for a reply together with other things."""
        return int(self._connection._sock.fileno())

    def abandon(self) -> None:
        """Give the reply up: whether the call ran stays unknown."""
        self._connection.disconnect()


class Blocking:
    """A connection for commands that block, owned by one thread.

    `send` and `receive` are apart so that the owner can wait for several of them, and for other things, with select().
    """

    def __init__(self, store: Store, key: str, block: float) -> None:
        self._store, self._key, self._block = store, key, block
        self._connection: Any = None
        self.connects = 0  # how often it was opened

    def connect(self) -> None:
        """Connect where that is needed."""
        self._connect()

    def call(self, *args: Any) -> Any:
        """Send a command and wait for its reply."""
        self.send(*args)
        return self.receive()

    def send(self, *args: Any) -> None:
        """Send a command without waiting for the reply; connects first where needed."""
        self._connect()
        self._send(packed(self._connection, args))

    def send_packed(self, commands: bytes) -> None:
        """Send commands as they go over the wire, in one go; each one's reply is received in its turn."""
        self._connect()
        self._send([commands])

    def last(self, script: tuple[Any, ...], doing: str) -> Sent:
        """Return what receives the reply of a script call that was sent as the last of several commands.

        Args:
            script: the call with its text, as an EVAL: for a server that does not have it.
        """
        return Sent(self._store, Idle(), self._connection, script, doing)

    def _connect(self) -> None:
        if self._store._suspect:
            self._store._look_again()
        if self._connection is None:
            self._connection = new_connection(self._store._pool(self._key), self._block + BLOCK_MARGIN)
        if self._store._watch is not None:
            self._store._leave_old_master(self._connection)
        if not is_open(self._connection) or is_stale(self._connection):
            self._store._connect(self._connection)
            self.connects += 1

    def _send(self, parts: Sequence[bytes]) -> None:
        self._guarded(partial(self._connection.send_packed_command, parts, check_health=False))

    def receive(self) -> Any:
        """Wait for the reply of the last command."""
        return self._guarded(self._connection.read_response)

    def fileno(self) -> int:
        """Return the socket's descriptor, for select(); redis-py has no public way to it."""
        return int(self._connection._sock.fileno())

    @property
    def is_connected(self) -> bool:
        """True while the connection is open as far as this side knows."""
        return self._connection is not None and is_open(self._connection)

    def _guarded(self, exchange: Callable[[], T]) -> T:
        import redis.exceptions as rx

        try:
            return exchange()
        except rx.AskError as error:
            self.close()
            self._store._suspect = True
            raise ConnectionFailed(f"{self._key} has moved to another node: {error}", sent=False) from error
        except BaseException as error:
            connection = self._connection
            self.close()
            if isinstance(error, rx.RedisError | rx.RedisClusterException | OSError):
                self._store.note_failure(connection)
                raise self._store.translated(error, "waiting") from error
            raise

    def distrust(self) -> None:
        """Drop this and the idle connections of the store: no reply came, and what else was open then may be as dead."""
        self.close()
        self._store.drop_idle()

    def close(self) -> None:
        """Drop the connection; the next `send` opens another."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None


def set_timeout(connection: Any, seconds: float) -> None:
    """Give an open connection another time for replies; its parser has one of its own, set again after a look at the socket."""
    connection._sock.settimeout(seconds)
    parser = connection._parser
    for holder, name in ((getattr(parser, "_buffer", None), "socket_timeout"), (parser, "_socket_timeout")):
        if hasattr(holder, name):
            setattr(holder, name, seconds)


def send(connection: Any, parts: Sequence[Any]) -> int:
    """Send a command, packed; return how many bytes it has if it is a large one, whose reply `await_reply` is to wait for.

    Raises:
        redis.RedisError, OSError: it was not sent, or not all of it; a ResponseError is what the server said of it.
    """
    size = sum(map(len, parts))
    if size < LARGE:
        connection.send_packed_command(parts, check_health=False)
        return 0
    try:
        for part in parts:
            _send_part(connection, memoryview(part))
    except TimeoutError:
        raise
    except OSError:  # the server has closed: it may have said why before
        _hear_refusal(connection)
        raise
    return size


def _send_part(connection: Any, left: memoryview) -> None:
    while left:
        left = left[connection._sock.send(left[:CHUNK]) :]
        if len(left) > CHUNK and connection.can_read(timeout=0):  # nothing is to be said before all is there but a refusal
            _hear_refusal(connection)
            raise ConnectionError("the server answered before it had everything")


def _hear_refusal(connection: Any) -> None:
    """Raise what the server says of a command that it has not had all of; nothing more goes over this connection."""
    try:
        connection.read_response()
    finally:
        connection.disconnect()


def await_reply(connection: Any, size: int) -> None:
    """Wait until the reply to something large begins: as long as bytes leave this machine, and then some.

    Raises:
        TimeoutError: nothing moved for as long as any command may take.
    """
    moved, unsent = time.monotonic(), size
    while not connection.can_read(timeout=0.2):
        now, still = time.monotonic(), _unsent(connection._sock)
        if still < unsent:
            moved, unsent = now, still
        # What left us may lie in a proxy, or wait its turn in the server.
        if now - moved > COMMAND_TIMEOUT + (0 if unsent else size / SLOWEST):
            raise TimeoutError("Timeout reading from socket")


def _unsent(sock: Any) -> int:
    """Return how many bytes the other side has not acknowledged yet; 0 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    import fcntl
    import termios

    found = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, found)
    except OSError:
        return 0
    return found[0]


def size_of(args: Sequence[Any]) -> int:
    """Return how large a command is, about."""
    return sum([len(arg) for arg in args if isinstance(arg, bytes | str)])


def with_size(doing: str, args: Sequence[Any]) -> str:
    """Return what was being done, with the size of what was sent if that is large."""
    size = size_of(args)
    return doing if size < LARGE else f"{doing} ({in_words(size)})"


def packed(connection: Any, args: Sequence[Any]) -> Any:
    try:
        return connection.pack_command(*args)
    except UnicodeEncodeError:  # names that are not UTF-8, as `keys.text` reads them
        return connection.pack_command(*(keys.raw(arg) if isinstance(arg, str) else arg for arg in args))


def new_connection(pool: Any, timeout: float) -> Any:
    return pool.connection_class(**{**pool.connection_kwargs, "socket_timeout": timeout})


def is_open(connection: Any) -> bool:
    return connection._sock is not None  # `is_connected` came with redis-py 7.3


def is_stale(connection: Any) -> bool:
    """Tell whether the server closed an idle connection (or left bytes on it), before anything is risked on it."""
    import redis.exceptions as rx

    try:
        if not connection.can_read(timeout=0):
            return False
    except (rx.RedisError, OSError):
        pass
    connection.disconnect()
    return True
