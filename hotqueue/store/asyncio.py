"""A store's commands in event loops: the asyncio twin of an exchange, and the clients of all its loops."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Sequence
from typing import Any

import redis.exceptions as rx

from hotqueue.runtime.ending import in_thread
from hotqueue.sizes import LARGE
from hotqueue.store import clients
from hotqueue.store.connection import new_connection, size_of
from hotqueue.store.exchange import Exchange
from hotqueue.store.loop_client import LoopClient, NotSent
from hotqueue.store.scripts import Script
from hotqueue.store.timeouts import COMMAND_TIMEOUT


class AsyncExchange:
    """Asyncio twin of `Exchange`: sends each command once, over the connections of the loop that runs."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._pool = exchange, exchange.pool
        self.loops = Loops()

    async def ask(self, args: Sequence[Any], doing: str, blocks: float = 0) -> Any:
        """Send a command and return its reply; a cluster finds the key in it.

        Args:
            blocks: seconds that the command may block, when it is one that does.
        """
        pool = self._pool
        if not blocks and size_of(args) >= LARGE:  # by a thread: there its deadline counts from the last progress
            return await in_thread(self._exchange.ask, _key_of(args), args, doing)
        if pool.suspect and pool.embedded is not None:
            pool.look_again()
        try:
            return await self.client().exchange(args, blocks)
        except rx.NoScriptError:
            raise
        except NotSent as error:
            pool.suspect = True
            if error.was_accepted:
                await in_thread(self._read_refusal, _key_of(args))
            raise pool.translated(error.__cause__ or error, "connecting", sent=False) from error.__cause__
        except (rx.RedisError, rx.RedisClusterException, OSError) as error:
            pool.suspect = True
            raise pool.translated(error, doing) from error

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any], doing: str) -> Any:
        """Run a script by its SHA, loading it where the server does not have it."""
        doing = doing or "EVALSHA"
        try:
            return await self.ask(("EVALSHA", script.sha, len(keys), *keys, *args), doing)
        except rx.NoScriptError:
            return await self.ask(("EVAL", script.text, len(keys), *keys, *args), doing)

    def _read_refusal(self, key: str | bytes) -> None:
        """Raise what a server says that closes new connections at once: asyncio drops it unread where it writes just then."""
        connection = new_connection(self._pool.connections_to(key), COMMAND_TIMEOUT)
        try:
            self._pool.connect(connection)
        finally:
            connection.disconnect()

    def client(self) -> LoopClient:
        """Return the running event loop's client (built on first use)."""
        self._pool.check_process()
        loop = asyncio.get_running_loop()
        found = self.loops.clients.get(loop)
        if found is None or found.is_closed:
            self.loops.close_ended()
            found = self.loops.clients[loop] = self._built()
        return found

    def _built(self) -> LoopClient:
        pool = self._pool
        client = clients.build_async(pool.address, pool.embedded)
        if not hasattr(getattr(client, "connection_pool", None), "sentinel_manager"):
            return LoopClient(client)
        pool.client()  # makes the watch
        assert pool.watch is not None
        clients.follow(client, pool.watch)
        return LoopClient(client, pool.watch)

    async def leave_loop(self) -> None:
        """Close the running loop's client alone; the loop is about to end."""
        client = self.loops.clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


def _key_of(command: Sequence[Any]) -> Any:
    return command[3 if command[0] in ("EVALSHA", "EVAL") else 1]


class Loops:
    """The clients of a store's event loops. They are gone with their loops: at the latest when another loop comes."""

    def __init__(self) -> None:
        self.clients: dict[asyncio.AbstractEventLoop, LoopClient] = {}
        weakref.finalize(self, _close_ended, self.clients)
        _all_loops.add(self)

    def close_ended(self) -> None:
        """Close what closed loops left open."""
        _close_ended(self.clients)

    def close(self) -> None:
        """Have everything closed, each in its own loop."""
        for loop, client in list(self.clients.items()):
            client.close_soon(loop)
        self.close_ended()


def _close_ended(clients: dict[asyncio.AbstractEventLoop, LoopClient]) -> None:
    for loop, client in list(clients.items()):
        if loop.is_closed() and clients.pop(loop, None) is not None:
            client.let_go()


_all_loops: weakref.WeakSet[Loops] = weakref.WeakSet()


def _let_go_after_fork() -> None:
    """Close, in a child, what the parent's loops have open: else a collection would, and take it out of the parent's epoll."""
    for loops in list(_all_loops):
        for client in loops.clients.values():
            client.let_go()
        loops.clients.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_after_fork)
