"""A store's connections in one event loop: made, kept, and closed with it. Nothing here retries.

redis-py's own asyncio pool leaks a place when its user is cancelled in `release`, refuses the 101st caller, and does not
tell a failure to connect from a lost reply; so connections are kept here and only built by it. Nor does it notice that a
loop has ended: what is open then is closed here, by the loop as it shuts down, or without it where it did not (0024).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import redis.exceptions as rx

from hotqueue.runtime.ending import in_thread, look_up_names_here
from hotqueue.store.sentinel import Watch
from hotqueue.store.timeouts import COMMAND_TIMEOUT
from hotqueue.store.translation import is_of_replica

AT_ONCE = 64  # commands under way at once; the others wait their turn instead of opening a connection each


class NotSent(Exception):
    """Connecting failed, so nothing was sent; the cause is redis-py's error."""

    @property
    def was_accepted(self) -> bool:
        """True when the server took the connection, and closed it before we had logged in."""
        return "while writing to socket" in str(self.__cause__)


class LoopClient:
    """The asyncio client of one event loop, made in it.

    Args:
        client: a redis.asyncio.Redis or RedisCluster made for this loop.
        watch: of the client's sentinels, if it has some.

    Attributes:
        lines: for each name, the line of those who wait for their turn at it.
        is_closed: True once the queue was closed: whoever comes back to it makes another.
    """

    def __init__(self, client: Any, watch: Watch | None = None) -> None:
        self.client = client
        self.lines: dict[str, asyncio.Lock] = {}
        self.is_closed = False
        self._watch = watch
        self._free: list[Any] = []
        self._open: set[Any] = set()  # the free ones, and those under way
        self._keeps = True  # connections for later, while the loop is not about to end
        self._under_way = 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._last: AsyncGenerator[None] | None = None
        if not getattr(asyncio.get_running_loop(), "_asyncgens_shutdown_called", False):  # else nobody will ask for its end
            self._last = self._when_the_loop_ends()
            _first_step(self._last)

    async def _when_the_loop_ends(self) -> AsyncGenerator[None]:
        """Close everything in the loop's last moment: its `shutdown_asyncgens()` ends what began in it and has not ended."""
        try:
            yield
        finally:
            await self._end()

    async def exchange(self, args: Sequence[Any], blocks: float = 0) -> Any:
        """Send one command and return its reply.

        Args:
            blocks: seconds that the command may block; one that blocks takes no turn from others.

        Raises:
            NotSent: no connection could be made.
            redis.RedisError, OSError: what redis-py makes of an error or a lost reply.
        """
        if blocks:
            return await self._exchange(args, COMMAND_TIMEOUT + blocks)
        async with self._turns:
            return await self._exchange(args, COMMAND_TIMEOUT)

    async def _exchange(self, args: Sequence[Any], patience: float) -> Any:
        if hasattr(self.client, "get_node_from_key"):  # a cluster client keeps its nodes' connections itself
            async with asyncio.timeout(patience):
                return await self._by_cluster(args)
        connection = await self._connected()
        try:
            async with asyncio.timeout(patience):
                await connection.send_command(*args, check_health=False)
                reply = await connection.read_response(disconnect_on_error=False)  # `_give_back` sees to it
        except BaseException as error:
            self._give_back(connection, error)
            raise
        self._keep(connection)
        return reply

    def _keep(self, connection: Any) -> None:
        """Keep a connection for the next command; not once we were closed, while its reply was under way."""
        if self._keeps:
            self._free.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        """Close a connection without waiting for it, in whatever state its loop is: a coroutine that is collected may call."""
        self._open.discard(connection)
        writer, connection._reader, connection._writer = connection._writer, None, None
        if writer is None:
            return
        try:
            writer.close()
        except RuntimeError:  # the loop is closed
            let_go(writer.transport)

    async def _by_cluster(self, args: Sequence[Any]) -> Any:
        self._under_way += 1
        try:
            return await self.client.execute_command(*args)
        except (TypeError, AttributeError) as error:
            if not str(error).startswith("'NoneType' object"):
                raise
            # asyncio of Python 3.12 and 3.13.0, when something is written to a transport that has been closed.
            raise NotSent from rx.ConnectionError("the connection was closed")
        finally:
            self._under_way -= 1
            if not self._keeps and not self._under_way:
                await self.client.aclose()

    async def _connected(self) -> Any:
        pool = self.client.connection_pool
        connection = self._free.pop() if self._free else self._made(pool)
        self._open.add(connection)
        try:
            if self._watch is not None:
                await self._leave_old_master(connection, self._watch)
            if not connection.is_connected:
                look_up_names_here(asyncio.get_running_loop())
            async with asyncio.timeout(COMMAND_TIMEOUT):
                await pool.ensure_connection(connection)
        except (rx.RedisError, OSError) as error:
            self._drop(connection)
            raise NotSent from error
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _made(self, pool: Any) -> Any:
        try:
            return pool.make_connection()
        except OSError as error:  # it reads files
            raise NotSent from error

    async def _leave_old_master(self, connection: Any, watch: Watch) -> None:
        """As `Pool.leave_old_master`."""
        if watch.is_fresh:
            watch.look()
        else:
            await in_thread(watch.look)
        if connection.is_connected and not watch.is_current(connection):
            await connection.disconnect(nowait=True)

    def _give_back(self, connection: Any, error: BaseException) -> None:
        """Keep a connection that only answered with an error; drop one whose reply may still be under way."""
        if isinstance(error, rx.ResponseError) and not is_of_replica(error):
            self._keep(connection)
        else:
            self._drop(connection)

    # --- the end -------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close the connections, in their loop; those under way are closed when their replies are there."""
        self.is_closed = True
        await self._end()
        if self._last is not None:
            await self._last.aclose()

    async def _end(self) -> None:
        self._keeps = False
        while self._free:
            connection = self._free.pop()
            self._open.discard(connection)
            await connection.disconnect()
        if not self._under_way:
            await self.client.aclose()
        sentinels = getattr(getattr(self.client, "connection_pool", None), "sentinel_manager", None)
        for sentinel in sentinels.sentinels if sentinels else ():  # redis-py leaves these open
            await sentinel.aclose()

    def close_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the connections closed in their loop, from whatever thread; at once where the loop is closed itself."""
        self.is_closed, self._keeps = True, False
        try:
            loop.call_soon_threadsafe(self._drop_free)
        except RuntimeError:
            self.let_go()

    def _drop_free(self) -> None:
        while self._free:
            self._drop(self._free.pop())

    def let_go(self) -> None:
        """Close all sockets without the loop: it is closed, or was left in the parent process by a fork."""
        self._keeps = False
        of_nodes = []
        if (manager := getattr(self.client, "nodes_manager", None)) is not None:
            nodes = [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
            of_nodes = [connection for node in nodes for connection in node._connections]
            self.client._initialize = True  # as in its aclose(): nothing is left for its __del__ to complain of
        for connection in (*self._open, *of_nodes):
            writer, connection._reader, connection._writer = connection._writer, None, None
            if writer is not None:
                let_go(writer.transport)
        self._open.clear()
        self._free.clear()


def let_go(transport: Any) -> None:
    """Close a transport's socket behind its back, and leave it looking closed: its loop can do nothing for it any more.

    asyncio has no public way to do this. What has no socket of Python's (uvloop) was closed together with its loop.
    """
    if (tls := getattr(transport, "_ssl_protocol", None)) is not None:
        transport._closed = True
        transport = tls._transport
    raw = getattr(transport, "_sock", None)
    if raw is not None:
        transport._closing, transport._sock = True, None
        raw.close()


def _first_step(generator: AsyncGenerator[None]) -> None:
    """Run a generator up to its first yield, from where one cannot wait; the running loop takes note of it."""
    try:
        generator.__anext__().send(None)
    except StopIteration:
        pass
