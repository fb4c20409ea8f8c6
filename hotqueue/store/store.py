"""An address → clients that neither double a push nor hide a lost reply. The only file that builds redis clients.

Every client is built explicitly: no transparent retry (a replayed RPUSH is a doubled message), a socket timeout for each
kind of command, protocol 2. Repeating is `Store.repeat`, and only around operations that may safely run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, HotQueueError, Interruption
from hotqueue.runtime import descriptors
from hotqueue.runtime.ending import in_thread
from hotqueue.sizes import LARGE
from hotqueue.store import clients
from hotqueue.store.address import PATIENCE as PATIENCE
from hotqueue.store.address import Address
from hotqueue.store.asyncio import LoopClient, Loops, NotSent
from hotqueue.store.blocking import (
    Blocking,
    Idle,
    Sent,
    await_reply,
    is_open,
    is_stale,
    new_connection,
    packed,
    send,
    set_timeout,
    size_of,
    with_size,
)
from hotqueue.store.clients import COMMAND_TIMEOUT
from hotqueue.store.translation import meaning

if TYPE_CHECKING:
    from hotqueue.embedded.server import EmbeddedServer
    from hotqueue.store.sentinel import Watch

T = TypeVar("T")


class Script(Protocol):
    """What `Store.run` runs: a Lua text and its SHA-1 in hex."""

    @property
    def text(self) -> bytes:
        """Return the Lua source."""

    @property
    def sha(self) -> bytes:
        """Return its SHA-1 in hex."""


class Store:
    """One place where queues live, shared by the threads of a process.

    Survives fork (a child opens connections of its own) and can be pickled; a client that the caller gave, by its settings.

    Attributes:
        is_cluster: True when keys of different queues may live on different servers.
        patience: seconds that a call may take while the server cannot be reached; None is without end.
        starts_threads: False for a process that forks: then what would be done beside the work is done in it.
    """

    def __init__(self, address: Address, server: EmbeddedServer | None = None) -> None:
        self.address = address
        self.embedded = server
        if address.kind == "embedded" and server is None:
            from hotqueue.embedded.server import EmbeddedServer

            self.embedded = EmbeddedServer(address.path, durability=address.durability)
        self.is_cluster = address.kind == "cluster" or hasattr(address.client, "get_node_from_key")
        self.patience = address.patience
        self.starts_threads = True
        self._forget_connections()

    def _forget_connections(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._client: Any = None
        self._only_pool: Any = None  # that of the client; None in a Cluster, whose nodes have one each
        self._idle: dict[Any, Idle] = {}  # by the pool of their server
        self._local = threading.local()  # .deadline: when the patience of this thread's call ends
        self._async = Loops()
        self._watch: Watch | None = None  # of sentinels; made with the client
        self._suspect = False  # something failed: look again for the server, the master, the cluster's layout
        self._silent: dict[tuple[str, int], float] = {}  # nodes of a Cluster that failed, and when (monotonic)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store, (self._portable(), self.embedded))

    def description(self) -> dict[str, Any]:
        """Return what `described` takes in another process: plain values, that name no module of ours."""
        server = None if self.embedded is None else self.embedded.__getstate__()
        return {"address": vars(self._portable()), "server": server}

    @classmethod
    def described(cls, description: dict[str, Any]) -> Store:
        """Return the store that `description` is of."""
        server, address = description["server"], Address(**description["address"])
        if server is None:
            return cls(address)
        from hotqueue.embedded.server import EmbeddedServer

        return cls(address, EmbeddedServer.described(server))

    def _portable(self) -> Address:
        address = self.address
        return address if address.kind != "client" else replace(clients.portable(address.client), patience=address.patience)

    @property
    def elsewhere(self) -> str:
        """What `str` says of this store in another process, which has no client of a user's."""
        return str(self) if self.embedded else str(self._portable())

    def __str__(self) -> str:
        return f"embedded server of {self.embedded.path}" if self.embedded else str(self.address)

    # --- commands ------------------------------------------------------------------------------------------------

    def command(self, key: str | bytes, *args: Any, doing: str = "") -> Any:
        """Send one command, once, to the server that holds `key`, and return its reply.

        Raises:
            ConnectionFailed: no answer came; `.sent` tells whether the command may have run.
            QueueFull: the server is out of memory.
            ConfigError: a key of the wrong type, a server without this command.
        """
        return self._asked(key, args, doing or str(args[0]))

    def run(
        self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any], doing: str = "", *, repeatable: bool = False
    ) -> Any:
        """Run a script by its SHA, loading it where the server does not have it; otherwise as `command`.

        Args:
            repeatable: the caller repeats it after an error, so that an idle connection may be tried unseen.
        """
        import redis.exceptions as rx

        try:
            return self._asked(keys[0], (b"EVALSHA", script.sha, len(keys), *keys, *args), doing, repeatable)
        except rx.NoScriptError:
            return self._asked(keys[0], (b"EVAL", script.text, len(keys), *keys, *args), doing)

    def send(self, script: Script, keys: Sequence[bytes], args: Sequence[bytes], doing: str, call: Sequence[bytes]) -> Sent:
        """Send a script call and do not wait; otherwise as `run`. The caller receives the reply, or abandons it.

        Args:
            call: the same, packed, in pieces.
        """
        import redis.exceptions as rx

        idle, connection = self._take(keys[0], recoverable=True)
        try:
            size = send(connection, call)
        except BaseException as error:
            self._give_back(idle, connection, error)
            if isinstance(error, rx.RedisError | OSError):
                raise self.translated(error, with_size(doing, args)) from error
            raise
        return Sent(self, idle, connection, (b"EVAL", script.text, len(keys), *keys, *args), doing, size)

    def scan(self, pattern: str) -> list[bytes]:
        """Return the keys that match a glob, of all masters of a Cluster. Slow: for people who look, never for work.

        Raises:
            ConnectionFailed, ConfigError: as `command`.
        """
        import redis.exceptions as rx

        try:
            return list(self.client().scan_iter(match=pattern, count=1000))
        except HotQueueError:
            raise
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self.translated(error, "listing keys", sent=False) from error

    def _asked(self, key: str | bytes, args: Sequence[Any], doing: str, repeatable: bool = False) -> Any:
        import redis.exceptions as rx

        try:
            return self._exchange(key, args, repeatable)
        except (rx.NoScriptError, HotQueueError):
            raise
        except rx.AskError:  # MOVED is a kind of ASK; the cluster client follows both and learns the new layout
            return self._redirected(args, doing)
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self.translated(error, with_size(f"{doing}{self._wrong_key(error, args)}", args)) from error

    def _wrong_key(self, error: BaseException, args: Sequence[Any]) -> str:
        """Return which of a command's keys holds the wrong type, where that is what Redis complains of: it does not say."""
        if "WRONGTYPE" not in str(error):
            return ""
        found = args[3 : 3 + int(args[2])] if args[0] in (b"EVALSHA", b"EVAL") else args[1:2]
        for key in (each.decode() if isinstance(each, bytes) else str(each) for each in found):
            wanted = keys.type_of(key)
            try:
                held = self._exchange(key, ("TYPE", key)).decode()
            except Interruption:
                raise
            except Exception:  # the complaint itself is what matters
                return ""
            if wanted is not None and held not in (wanted, "none"):
                return f" ({key} holds a {held}, not a {wanted})"
        return ""

    def _redirected(self, args: Sequence[Any], doing: str) -> Any:
        import redis.exceptions as rx

        self._suspect = True
        try:
            name = args[0].decode() if isinstance(args[0], bytes) else args[0]  # the cluster client looks it up as text
            return self.client().execute_command(name, *args[1:])
        except rx.NoScriptError:
            raise
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            raise self.translated(error, doing) from error

    def _exchange(self, key: str | bytes, args: Sequence[Any], repeatable: bool = False) -> Any:
        idle, connection = self._take(key, repeatable)
        left, size = self._left(), 0
        try:
            if left < COMMAND_TIMEOUT:
                connection._sock.settimeout(left)
            size = send(connection, packed(connection, args))
            if size:
                await_reply(connection, size)
            reply = connection.read_response()
        except BaseException as error:
            if left < COMMAND_TIMEOUT and connection._sock is not None:
                connection._sock.settimeout(COMMAND_TIMEOUT)
            self._give_back(idle, connection, error, is_large=size > 0)
            raise
        if left < COMMAND_TIMEOUT:
            connection._sock.settimeout(COMMAND_TIMEOUT)
        idle.put(connection)
        return reply

    def _give_back(self, idle: Idle, connection: Any, error: BaseException, is_large: bool = False) -> None:
        """Keep a connection that only answered with an error; drop one whose reply may still be under way.

        Args:
            is_large: what was answered is large: whoever refuses that may close as well.
        """
        import redis.exceptions as rx

        if isinstance(error, rx.ResponseError) and not (isinstance(error, rx.ReadOnlyError) or is_large):
            idle.put(connection)
        else:
            connection.disconnect()
            self.note_failure(connection)

    # --- repeating -----------------------------------------------------------------------------------------------

    def repeat(
        self,
        operation: Callable[[], T],
        *,
        patience: float | EllipsisType | None = ...,
        stop: threading.Event | None = None,
        twice: bool = True,
    ) -> T:
        """Run an operation until it succeeds.

        Args:
            patience: seconds after which the last error is raised, instead of the store's own; None repeats until `stop` is set.
            stop: ends the waiting early.
            twice: False for an operation that must not run twice: repeated only while nothing was sent.
        """
        deadline, until = self._deadlines(patience)
        pause = 0.01
        while True:
            try:
                return self._within(until, operation)
            except ConnectionFailed as error:
                if _is_final(error, deadline, pause, twice) or (stop is not None and stop.is_set()):
                    raise
            if stop is not None:
                stop.wait(pause)
            else:
                time.sleep(pause)
            pause, until = min(pause * 2, 0.5), deadline

    def be_patient(self) -> None:
        """Have at least the usual patience, whoever made the queue: for a process that nobody waits for."""
        self.patience = None if self.patience is None else max(self.patience, PATIENCE)

    def _deadlines(self, patience: float | EllipsisType | None) -> tuple[float | None, float | None]:
        """Return when patience ends, and when the first try is to, which is let come to its end (None) by a patient store."""
        seconds = self.patience if isinstance(patience, EllipsisType) else patience
        if seconds is None or self.patience is None:
            return None if seconds is None else time.monotonic() + seconds, None
        now, first = time.monotonic(), max(seconds, self.patience)
        return now + seconds, now + first if first < COMMAND_TIMEOUT else None

    def _within(self, deadline: float | None, operation: Callable[[], T]) -> T:
        """Run an operation whose connecting and reading end when patience does, so that a second try adds no timeout."""
        if deadline is None:
            return operation()
        self._local.deadline = deadline
        try:
            return operation()
        finally:
            self._local.deadline = None

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Have no command of this thread wait for longer than so many seconds inside the body."""
        before = getattr(self._local, "most", COMMAND_TIMEOUT)
        self._local.most = min(seconds, before)
        try:
            yield
        finally:
            self._local.most = before

    def _left(self) -> float:
        """Return how long a command of this thread may take."""
        deadline, most = getattr(self._local, "deadline", None), getattr(self._local, "most", COMMAND_TIMEOUT)
        return most if deadline is None else min(most, max(0.1, deadline - time.monotonic()))

    async def arepeat(
        self,
        operation: Callable[[], Awaitable[T]],
        *,
        patience: float | EllipsisType | None = ...,
        twice: bool = True,
        blocks: float = 0,
    ) -> T:
        """Asyncio twin of `repeat`.

        Args:
            blocks: seconds for which the operation may wait for something else than an answer.
        """
        deadline, until = self._deadlines(patience)
        pause, last = 0.01, None
        while True:
            try:
                async with asyncio.timeout(None if until is None else max(0.1, until - time.monotonic()) + blocks):
                    return await operation()
            except TimeoutError:
                if until is None:
                    raise
                if last is None:
                    text = f"no answer from {self} within {self.patience:g} s; whether it was carried out is unknown"
                    raise ConnectionFailed(text) from None
                raise ConnectionFailed(f"{last}; tried again without an answer") from last
            except ConnectionFailed as error:
                if _is_final(error, deadline, pause, twice):
                    raise
                last = error
            await asyncio.sleep(pause)
            pause, until = min(pause * 2, 0.5), deadline

    # --- connections ---------------------------------------------------------------------------------------------

    def client(self) -> Any:
        """Return this process's redis client (built on first use; embedded: the server is found or started)."""
        self._check_pid()
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._built()
        return self._client

    def _built(self) -> Any:
        import redis.exceptions as rx

        try:
            client = clients.build(self.address, self.embedded)
            self._watch = clients.watch(client, beside=self.starts_threads)
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:  # a cluster client connects at once
            raise self.translated(error, "connecting", sent=False) from error
        self._only_pool = None if self.is_cluster else client.connection_pool
        return client

    def _check_pid(self) -> None:
        if self._pid != os.getpid():
            self._forget_connections()

    def _look_again(self) -> None:
        """After a failure: start a dead embedded server again, learn a changed cluster layout."""
        self._suspect = False
        if self.embedded is not None:
            self.embedded.ensure(after_error=True)
        elif self._client is not None and self.is_cluster:
            import redis.exceptions as rx

            try:
                clients.ask_others_first(self._client.nodes_manager, self._silent)
                self._client.nodes_manager.initialize()
            except (rx.RedisError, rx.RedisClusterException, OSError) as error:
                self._suspect = True
                raise self.translated(error, "asking the cluster for its layout", sent=False) from error

    def note_failure(self, connection: Any) -> None:
        """Have the next command look again for the server, the master, the layout; but not by asking the one that failed."""
        self._suspect = True
        if self.is_cluster:
            self._silent[getattr(connection, "host", ""), int(getattr(connection, "port", 0))] = time.monotonic()

    def place_of(self, key: str | bytes) -> str:
        """Return a name for the node of a Cluster that holds `key`, as far as that is known; "" where there is but one server."""
        if not self.is_cluster or self._client is None or self._pid != os.getpid():
            return ""
        import redis.exceptions as rx

        try:
            return str(getattr(self._client.get_node_from_key(key), "name", ""))
        except (rx.RedisClusterException, KeyError, IndexError):
            return ""

    def _pool(self, key: str | bytes) -> Any:
        client = self.client()
        if not self.is_cluster:
            return client.connection_pool
        import redis.exceptions as rx

        try:
            return client.get_redis_connection(client.get_node_from_key(key)).connection_pool
        except rx.RedisClusterException as error:  # no node has this slot, as far as we know: look again
            self._suspect = True
            raise self.translated(error, "finding the node", sent=False) from error

    def _take(self, key: str | bytes, repeatable: bool = False, recoverable: bool = False) -> tuple[Idle, Any]:
        """Return an open connection to the server that holds `key`, and where it goes afterwards.

        Args:
            repeatable: the command may be sent again at once, so that a look at the connection is not worth its time.
            recoverable: an error costs its sender more than that; but of a connection that has just answered, none is likely.
        """
        # No calls where nothing is to be done: every task comes this way.
        if self._pid != os.getpid():
            self._forget_connections()
        if self._suspect:
            self._look_again()
        pool = self._only_pool or self._pool(key)
        idle = self._idle.get(pool)
        if idle is None:
            idle = self._idle.setdefault(pool, Idle())
        try:
            connection, is_fresh = idle.take()
        except IndexError:
            connection, is_fresh = new_connection(pool, COMMAND_TIMEOUT), False
        if self._watch is not None:
            self._leave_old_master(connection)
        if connection._sock is not None and (repeatable or (recoverable and is_fresh) or not is_stale(connection)):
            return idle, connection
        self._connect(connection)
        return idle, connection

    def _leave_old_master(self, connection: Any) -> None:
        """Close a connection to a server that the sentinels do not name any more: what it takes may be thrown away."""
        assert self._watch is not None
        self._watch.look()
        if is_open(connection) and not self._watch.is_current(connection):
            connection.disconnect()

    def _connect(self, connection: Any) -> None:
        """Connect before anything is sent, so that a failure is known to have changed nothing."""
        import redis.exceptions as rx

        descriptors.fill_standard()  # else the socket may be what a program that closed its stdout prints into
        usual = connection.socket_timeout, getattr(connection, "socket_connect_timeout", None)
        left = self._left()
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
                self.note_failure(connection)
                if last or self.embedded is None:
                    raise self.translated(error, "connecting", sent=False) from error
                self._look_again()
            finally:
                connection.socket_timeout, connection.socket_connect_timeout = usual

    def blocking(self, key: str, block: float) -> Blocking:
        """Return a connection of the caller's own to the server that holds `key`, for commands that block.

        Args:
            block: seconds that the commands block at most.
        """
        return Blocking(self, key, block)

    def loop_client(self) -> LoopClient:
        """Return the running event loop's client (built on first use)."""
        self._check_pid()
        loop = asyncio.get_running_loop()
        found = self._async.clients.get(loop)
        if found is None or found.is_closed:
            self._async.bury()
            found = self._async.clients[loop] = self._built_async()
        return found

    def _built_async(self) -> LoopClient:
        client = clients.build_async(self.address, self.embedded)
        if not hasattr(getattr(client, "connection_pool", None), "sentinel_manager"):
            return LoopClient(client)
        self.client()  # makes the watch
        assert self._watch is not None
        clients.follow(client, self._watch)
        return LoopClient(client, self._watch)

    async def acommand(self, *args: Any, doing: str = "", blocks: float = 0) -> Any:
        """Asyncio twin of `command`; takes no key, a cluster finds it in the command.

        Args:
            blocks: seconds that the command may block, when it is one that does.
        """
        import redis.exceptions as rx

        doing = doing or str(args[0])
        if not blocks and size_of(args) >= LARGE:  # by a thread: there its deadline counts from the last progress
            return await in_thread(self._asked, _key_of(args), args, doing)
        if self._suspect and self.embedded is not None:
            self._look_again()
        try:
            return await self.loop_client().exchange(args, blocks)
        except rx.NoScriptError:
            raise
        except NotSent as error:
            self._suspect = True
            if error.was_accepted:
                await in_thread(self._hear_refusal, _key_of(args))
            raise self.translated(error.__cause__ or error, "connecting", sent=False) from error.__cause__
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            self._suspect = True
            raise self.translated(error, doing) from error

    def _hear_refusal(self, key: str | bytes) -> None:
        """Raise what a server says that closes new connections at once: asyncio drops it unread where it writes just then."""
        connection = new_connection(self._pool(key), COMMAND_TIMEOUT)
        try:
            self._connect(connection)
        finally:
            connection.disconnect()

    async def arun(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any], doing: str = "") -> Any:
        """Asyncio twin of `run`."""
        import redis.exceptions as rx

        try:
            return await self.acommand("EVALSHA", script.sha, len(keys), *keys, *args, doing=doing)
        except rx.NoScriptError:
            return await self.acommand("EVAL", script.text, len(keys), *keys, *args, doing=doing)

    def drop_idle(self) -> None:
        """Close the connections that are open and not in use."""
        for idle in list(self._idle.values()):
            idle.drop()

    def close(self) -> None:
        """Close this process's connections, those of event loops in their loops, and let go of the embedded server."""
        self._check_pid()
        self.drop_idle()
        if self._watch is not None:
            self._watch.close()
        if self._client is not None:
            self._client.close()
        if self.embedded is not None:
            self.embedded.close()
        loops = self._async
        loops.close()
        self._forget_connections()
        self._async = loops

    async def aclose(self) -> None:
        """Asyncio twin of `close`: closes the running loop's client as well."""
        await self.leave_loop()
        self.close()

    async def leave_loop(self) -> None:
        """Close the running loop's client alone; the loop is about to end."""
        client = self._async.clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    # --- errors --------------------------------------------------------------------------------------------------

    def translated(self, error: BaseException, doing: str, *, sent: bool = True) -> HotQueueError:
        """Return what an error of redis-py means, in our words."""
        tls = bool(self.address.options.get("ssl"))
        return meaning(error, f"{doing or 'talking to Redis'} at {self}", sent=sent, tls=tls)


def _is_final(error: ConnectionFailed, deadline: float | None, pause: float, twice: bool) -> bool:
    if not error.retry or (error.sent and not twice):
        return True
    return deadline is not None and time.monotonic() + pause > deadline


def _key_of(command: Sequence[Any]) -> Any:
    return command[3 if command[0] in ("EVALSHA", "EVAL") else 1]
