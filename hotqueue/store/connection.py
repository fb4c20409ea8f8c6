"""One connection of redis-py's: whether it is open, and how something goes over it, however large.

The deadline of something large counts from the last bytes that were taken, not from the first, and the server may interrupt
it, to refuse.
"""

from __future__ import annotations

import array
import sys
import time
from collections.abc import Sequence
from typing import Any

import redis.exceptions as rx

from hotqueue import keys
from hotqueue.sizes import LARGE, in_words
from hotqueue.store.timeouts import COMMAND_TIMEOUT

CHUNK = 1 << 20  # bytes of something large between two looks at what the server says
COPIED = 64 * 1024  # bytes of an argument below which it is copied
UTF_8 = frozenset({"utf-8", "utf8", "UTF-8", "UTF8"})
MANY = 50  # arguments from which on a command is packed here: of a thousand, redis-py's way takes three times as long
SLOWEST = 256 * 1024  # bytes a second at which what has left this machine is taken to arrive, with whatever is on the way


def new_connection(pool: Any, timeout: float) -> Any:
    return pool.connection_class(**{**pool.connection_kwargs, "socket_timeout": timeout})


def is_open(connection: Any) -> bool:
    return connection._sock is not None  # `is_connected` came with redis-py 7.3


def fileno(connection: Any) -> int:
    """Return the descriptor of an open connection's socket; redis-py has no public way to it."""
    return int(connection._sock.fileno())


def peer(connection: Any) -> Any:
    """Return the address that the socket of an open connection is connected to."""
    return connection._sock.getpeername()


def reply_or_error(connection: Any) -> Any:
    """Return the next reply, or redis-py's error where the server refuses: the connection is as good as before."""
    try:
        return connection.read_response()
    except rx.ResponseError as error:
        return error


def whole_reply(connection: Any, seconds: float) -> Any:
    """Return the next reply, which has begun to come, or None if the rest does not come within some seconds.

    What has come stays with the connection, for the next look. For replies that are never None, as those of our scripts.

    Raises:
        redis.RedisError, OSError: as reading it.
    """
    limit_replies(connection, max(seconds, 0.001))  # 0 would be another mode
    try:
        return connection.read_response(disconnect_on_error=False)
    except rx.TimeoutError:
        return None
    except rx.ResponseError:
        raise
    except (rx.RedisError, OSError):
        connection.disconnect()
        raise
    finally:
        if is_open(connection):
            limit_replies(connection, COMMAND_TIMEOUT)


def limit_replies(connection: Any, seconds: float) -> None:
    """Have the next replies on an open connection awaited so long at most."""
    connection._sock.settimeout(seconds)


def is_stale(connection: Any) -> bool:
    """Tell whether the server closed an idle connection (or left bytes on it), before anything is risked on it."""
    try:
        if not connection.can_read(timeout=0):
            return False
    except (rx.RedisError, OSError):
        pass
    connection.disconnect()
    return True


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
        _read_refusal(connection)
        raise
    return size


def _send_part(connection: Any, left: memoryview) -> None:
    while left:
        left = left[connection._sock.send(left[:CHUNK]) :]
        if len(left) > CHUNK and connection.can_read(timeout=0):  # nothing is to be said before all is there but a refusal
            _read_refusal(connection)
            raise ConnectionError("the server answered before it had everything")


def _read_refusal(connection: Any) -> None:
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
    if len(args) >= MANY and (whole := packed_at_once(connection, args)) is not None:
        return [whole]
    try:
        return connection.pack_command(*args)
    except UnicodeEncodeError:  # names that are not UTF-8, as `keys.text` reads them
        return connection.pack_command(*(keys.raw(arg) if isinstance(arg, str) else arg for arg in args))


def packed_at_once(connection: Any, args: Sequence[Any]) -> bytes | None:
    """Return a command as it goes over the wire; None of one that is for redis-py: with something large, or of another type.

    Or of a connection whose owner has names in another encoding: the same name would be that of two keys.
    """
    if connection.encoder.encoding not in UTF_8 or not {bytes, str, int}.issuperset(map(type, args)):
        return None
    parts = [arg if type(arg) is bytes else keys.raw(arg) if type(arg) is str else b"%d" % arg for arg in args]
    if max(map(len, parts)) > COPIED:
        return None
    return b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))
