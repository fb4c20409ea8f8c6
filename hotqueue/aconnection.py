"""A store's connections in one event loop. Only `connection.py` uses this; nothing here retries.

redis-py's own asyncio pool leaks a place when its user is cancelled in `release`, refuses the 101st caller, and does not
tell a failure to connect from a lost reply; so connections are kept here and only built by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hotqueue.clients import COMMAND_TIMEOUT
from hotqueue.sentinels import Watch

GATE = 64  # commands under way at once; the others wait their turn instead of opening a connection each


class NotSent(Exception):
    """Connecting failed, so nothing was sent; the cause is redis-py's error."""


class LoopClient:
    """The asyncio client of one event loop.

    Args:
        client: a redis.asyncio.Redis or RedisCluster made for this loop.
        watch: of the client's sentinels, if it has some.
    """

    def __init__(self, client: Any, watch: Watch | None = None) -> None:
        self.client = client
        self._watch = watch
        self._free: list[Any] = []
        self._is_closed = False
        self._gate = asyncio.Semaphore(GATE)

    async def exchange(self, args: Sequence[Any], blocks: float = 0) -> Any:
        """Send one command and return its reply.

        Args:
            blocks: seconds that the command may block; one that blocks takes no place at the gate.

        Raises:
            NotSent: no connection could be made.
            redis.RedisError, OSError: what redis-py makes of an error or a lost reply.
        """
        if blocks:
            return await self._exchange(args, COMMAND_TIMEOUT + blocks)
        async with self._gate:
            return await self._exchange(args, COMMAND_TIMEOUT)

    async def _exchange(self, args: Sequence[Any], patience: float) -> Any:
        if hasattr(self.client, "get_node_from_key"):  # a cluster client keeps its nodes' connections itself
            async with asyncio.timeout(patience):
                return await self._by_cluster(args)
        connection = await self._connected()
        try:
            async with asyncio.timeout(patience):
                await connection.send_command(*args, check_health=False)
                reply = await connection.read_response()
        except BaseException as error:
            await self._give_back(connection, error)
            raise
        await self._keep(connection)
        return reply

    async def _keep(self, connection: Any) -> None:
        """Keep a connection for the next command; not once we were closed, while its reply was under way."""
        if self._is_closed:
            await connection.disconnect(nowait=True)
        else:
            self._free.append(connection)

    async def _by_cluster(self, args: Sequence[Any]) -> Any:
        import redis.exceptions as rx

        try:
            return await self.client.execute_command(*args)
        except (TypeError, AttributeError) as error:
            if not str(error).startswith("'NoneType' object"):
                raise
            # asyncio of Python 3.12 and 3.13.0, when something is written to a transport that has been closed.
            raise NotSent from rx.ConnectionError("the connection was closed")

    async def _connected(self) -> Any:
        import redis.exceptions as rx

        pool = self.client.connection_pool
        connection = self._free.pop() if self._free else pool.make_connection()
        if self._watch is not None:
            await self._leave_old_master(connection, self._watch)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                await pool.ensure_connection(connection)
        except (rx.RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise NotSent from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _leave_old_master(self, connection: Any, watch: Watch) -> None:
        """As `Store._leave_old_master`; whoever is cancelled meanwhile leaves the connection to the collector."""
        if watch.is_fresh:
            watch.look()
        else:
            await asyncio.to_thread(watch.look)
        if connection.is_connected and not watch.is_current(connection):
            await connection.disconnect(nowait=True)

    async def _give_back(self, connection: Any, error: BaseException) -> None:
        """Keep a connection that only answered with an error; drop one whose reply may still be under way."""
        import redis.exceptions as rx

        if isinstance(error, rx.ResponseError) and not isinstance(error, rx.ReadOnlyError):
            await self._keep(connection)
        else:
            await connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Close the connections; those under way are closed when their replies are there."""
        self._is_closed = True
        while self._free:
            await self._free.pop().disconnect()
        await self.client.aclose()
        sentinels = getattr(getattr(self.client, "connection_pool", None), "sentinel_manager", None)
        for sentinel in sentinels.sentinels if sentinels else ():  # redis-py leaves these open
            await sentinel.aclose()
