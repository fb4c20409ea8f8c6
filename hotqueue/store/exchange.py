"""One command and its reply, at once or later; what a failure means, and following a queue that has moved.

Nothing here retries but what a server has refused to run: a script that it does not have, a key that is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import redis.exceptions as rx

from hotqueue import key_types
from hotqueue.errors import HotQueueError, Interruption
from hotqueue.store.connection import await_reply, fileno, is_open, limit_replies, packed, send, whole_reply, with_size
from hotqueue.store.pool import Idle, Pool
from hotqueue.store.scripts import Script
from hotqueue.store.timeouts import COMMAND_TIMEOUT


class Exchange:
    """What sends commands over the connections of a pool, each of them once."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def ask(self, key: str | bytes, args: Sequence[Any], doing: str, repeatable: bool = False, text: bytes | None = None) -> Any:
        """Send a command to the server that holds `key`, and return its reply.

        Args:
            repeatable: the caller repeats it after an error, so that an idle connection may be tried unseen.
            text: of the script that the command runs by its SHA, for a server that does not have it.

        Raises:
            redis.exceptions.NoScriptError: there is no such script, and no text was given.
            HotQueueError: any other failure.
        """
        try:
            try:
                return self._once(key, args, repeatable)
            except rx.AskError:  # MOVED is a kind of ASK; the cluster client follows both and learns the new layout
                return self.follow(args, doing)
        except rx.NoScriptError:  # here, or where the key has moved
            if text is None:
                raise
            return self.ask(key, (b"EVAL", text, *args[2:]), doing)
        except HotQueueError:
            raise
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self.pool.translated(error, with_size(f"{doing}{self.wrong_key(error, args)}", args)) from error

    def _once(self, key: str | bytes, args: Sequence[Any], repeatable: bool = False) -> Any:
        pool = self.pool
        idle, connection = pool.take(key, repeatable)
        left, size = pool.limits.left(), 0
        try:
            if left < COMMAND_TIMEOUT:
                limit_replies(connection, left)
            size = send(connection, packed(connection, args))
            if size:
                await_reply(connection, size)
            reply = connection.read_response()
        except BaseException as error:
            if left < COMMAND_TIMEOUT and is_open(connection):
                limit_replies(connection, COMMAND_TIMEOUT)
            pool.give_back(idle, connection, error, is_large=size > 0)
            raise
        if left < COMMAND_TIMEOUT:
            limit_replies(connection, COMMAND_TIMEOUT)
        idle.put(connection)
        return reply

    def send(self, script: Script, keys: Sequence[bytes], args: Sequence[bytes], doing: str, call: Sequence[bytes]) -> Sent:
        """Send a script call and do not wait; see `Store.send`."""
        idle, connection = self.pool.take(keys[0], recoverable=True)
        try:
            size = send(connection, call)
        except BaseException as error:
            self.pool.give_back(idle, connection, error)
            if isinstance(error, rx.RedisError | OSError):
                raise self.pool.translated(error, with_size(doing, args)) from error
            raise
        return Sent(self, idle, connection, (b"EVAL", script.text, len(keys), *keys, *args), doing, size)

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Yield the keys that match a glob; see `Store.scan`."""
        try:
            yield from self.pool.client().scan_iter(match=pattern, count=1000)
        except HotQueueError:
            raise
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self.pool.translated(error, "listing keys", sent=False) from error

    def follow(self, args: Sequence[Any], doing: str) -> Any:
        """Send a command to where its keys have moved; return its reply."""
        self.pool.suspect = True
        try:
            name = args[0].decode() if isinstance(args[0], bytes) else args[0]  # the cluster client looks it up as text
            return self.pool.client().execute_command(name, *args[1:], as_sent=True)  # only a Cluster's is asked to follow
        except rx.NoScriptError:
            raise
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self.pool.translated(error, doing) from error

    def wrong_key(self, error: BaseException, args: Sequence[Any]) -> str:
        """Return which of a command's keys holds the wrong type, where that is what Redis complains of: it does not say."""
        if "WRONGTYPE" not in str(error):
            return ""
        found = args[3 : 3 + int(args[2])] if args[0] in (b"EVALSHA", b"EVAL") else args[1:2]
        for key in (each.decode() if isinstance(each, bytes) else str(each) for each in found):
            wanted = key_types.type_of(key)
            try:
                held = self._once(key, ("TYPE", key)).decode()
            except Interruption:
                raise
            except Exception:  # the complaint itself is what matters
                return ""
            if wanted is not None and held not in (wanted, "none"):
                return f" ({key} holds a {held}, not a {wanted})"
        return ""


class Sent:
    """A script call whose reply is still to come, on a connection that is its own until then.

    Args:
        whole: the call with its text, as an EVAL: for a server that does not have the script.
        size: bytes of the call, if that is large.
    """

    def __init__(
        self, exchange: Exchange, idle: Idle, connection: Any, whole: tuple[Any, ...], doing: str, size: int = 0
    ) -> None:
        self._exchange, self._idle, self._connection, self._whole, self._doing = exchange, idle, connection, whole, doing
        self._size = size
        self._reply: Any = None  # once somebody has seen that it is here; an error of redis-py's is one too

    def receive(self) -> Any:
        """Wait for the reply; errors as of `Store.run`."""
        exchange = self._exchange
        pool = exchange.pool
        try:
            reply = self._reply if self._reply is not None else self._awaited()
            if isinstance(reply, Exception):
                raise reply
        except rx.NoScriptError as error:
            pool.give_back(self._idle, self._connection, error)
            return exchange.ask(self._whole[3], self._whole, self._doing)
        except rx.AskError as error:
            pool.give_back(self._idle, self._connection, error)
            return exchange.follow(self._whole, self._doing)
        except BaseException as error:
            pool.give_back(self._idle, self._connection, error, is_large=self._size > 0)
            if isinstance(error, rx.RedisError | rx.RedisClusterException | OSError):
                wrong = exchange.wrong_key(error, self._whole)
                raise pool.translated(error, with_size(f"{self._doing}{wrong}", self._whole)) from error
            raise
        self._idle.put(self._connection)
        return reply

    def _awaited(self) -> Any:
        if not is_open(self._connection):  # it ended while somebody looked whether it had answered
            raise rx.ConnectionError("Connection closed by server.")
        if self._size:
            await_reply(self._connection, self._size)
        return self._connection.read_response()

    @property
    def is_answered(self) -> bool:
        """True once somebody has seen that the whole reply is here, or that the connection has ended: it has no `fileno` then."""
        return self._reply is not None or not is_open(self._connection)

    def has_answered(self, seconds: float) -> bool:
        """Wait so long at most until the whole reply is here, or the connection has ended.

        Of a reply that has begun the rest may never come: a server can be stopped, or a network fail, at any byte of it.
        """
        connection = self._connection
        if self.is_answered:
            return True
        try:
            if not connection.can_read(timeout=seconds):
                return False
            self._reply = whole_reply(connection, seconds)
        except rx.NoScriptError:
            return self._send_whole()
        except (rx.RedisError, OSError) as error:
            self._reply = error
        return self._reply is not None

    def _send_whole(self) -> bool:
        """Send the script's text, whose reply is to be waited for as that of the call; True if it has failed."""
        try:
            self._size = send(self._connection, packed(self._connection, self._whole))
        except (rx.RedisError, OSError) as error:
            self._reply = error
        return self._reply is not None

    def fileno(self) -> int:
        """Return the descriptor of the socket, to wait for a reply together with other things."""
        return fileno(self._connection)

    def abandon(self) -> None:
        """Give the reply up: whether the call ran stays unknown."""
        self._connection.disconnect()
