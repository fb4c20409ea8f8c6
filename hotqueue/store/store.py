"""What queues speak to: one place where they live, with its commands and scripts, and asyncio twins of them.

Imports no redis, and connects to nothing, before the first command: a queue costs next to nothing until it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from hotqueue.errors import HotQueueError
from hotqueue.store.address import Address
from hotqueue.store.repeating import Repeating
from hotqueue.store.scripts import Script
from hotqueue.store.timeouts import Limits

if TYPE_CHECKING:
    from hotqueue.embedded.server import EmbeddedServer
    from hotqueue.store.asyncio import AsyncExchange
    from hotqueue.store.blocking import Blocking
    from hotqueue.store.exchange import Exchange, Sent
    from hotqueue.store.loop_client import LoopClient
    from hotqueue.store.pool import Pool

T = TypeVar("T")


class _OnFirstUse(Generic[T]):
    """An attribute that is made when it is first asked for, the same for all threads.

    As `functools.cached_property`, but without a lock, which a fork could leave locked; from then on it costs no call.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, store: None, owner: type) -> _OnFirstUse[T]: ...

    @overload
    def __get__(self, store: object, owner: type) -> T: ...

    def __get__(self, store: object | None, owner: type) -> _OnFirstUse[T] | T:
        if store is None:
            return self
        made: T = store.__dict__.setdefault(self._name, self._make(store))
        return made


class Store(Repeating):
    """One place where queues live, shared by the threads of a process.

    Survives fork (a child opens connections of its own) and can be pickled; a client that the caller gave, by its settings.

    1. Making one connects to nothing, and imports no redis: an address is all that is known.
    2. The first command makes the `pool`, which finds or starts the server, and the `exchange`, which sends over it.
    3. Each command is sent once. What it raises says whether it may have been carried out (`.sent`).
    4. `repeat` runs an operation again until it succeeds, or patience ends.
    5. `close` drops the connections, and the hold on an embedded server; the next command connects again.

    Attributes:
        is_cluster: True when keys of different queues may live on different servers.
        patience: seconds that a call may take while the server cannot be reached; None is without end.
        starts_threads: False for a process that forks: then what would be done beside the work is done in it. Set it before
            the first command.
    """

    def __init__(self, address: Address, server: EmbeddedServer | None = None) -> None:
        self.address = address
        self.embedded = server
        if address.kind == "embedded" and server is None:
            from hotqueue.embedded.server import EmbeddedServer

            self.embedded = EmbeddedServer(address.path, durability=address.durability)
        self.is_cluster = address.is_cluster
        self.patience = address.patience
        self.limits = Limits()
        self.starts_threads = True

    @_OnFirstUse
    def pool(self) -> Pool:
        """This process's connections."""
        for name in ("asyncio", "blocking"):  # now: later there may be no descriptor left to read them with
            import_module(f"hotqueue.store.{name}")
        from hotqueue.store.pool import Pool

        return Pool(self.address, self.embedded, str(self), self.limits, starts_threads=self.starts_threads)

    @_OnFirstUse
    def exchange(self) -> Exchange:
        """What sends commands over them."""
        from hotqueue.store.exchange import Exchange

        return Exchange(self.pool)

    @_OnFirstUse
    def async_exchange(self) -> AsyncExchange:
        """What sends commands in event loops."""
        from hotqueue.store.asyncio import AsyncExchange

        return AsyncExchange(self.exchange)

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
        if address.kind != "client":
            return address
        from hotqueue.store import clients

        return replace(clients.portable(address.client), patience=address.patience)

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
        return self.exchange.ask(key, args, doing or str(args[0]))

    def run(
        self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any], doing: str = "", *, repeatable: bool = False
    ) -> Any:
        """Run a script by its SHA, loading it where the server does not have it; otherwise as `command`.

        Args:
            repeatable: the caller repeats it after an error, so that an idle connection may be tried unseen.
        """
        call = (b"EVALSHA", script.sha, len(keys), *keys, *args)
        return self.exchange.ask(keys[0], call, doing, repeatable, script.text)

    def send(self, script: Script, keys: Sequence[bytes], args: Sequence[bytes], doing: str, call: Sequence[bytes]) -> Sent:
        """Send a script call and do not wait; otherwise as `run`. The caller receives the reply, or abandons it.

        Args:
            call: the same, packed, in pieces.
        """
        return self.exchange.send(script, keys, args, doing, call)

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Yield the keys that match a glob, of all masters of a Cluster; one may come twice.

        Slow, as every key of the server is looked at, a thousand at a time: for people who look, never for work.

        Raises:
            ConnectionFailed, ConfigError: as `command`.
        """
        return self.exchange.scan(pattern)

    def acommand(self, *args: Any, doing: str = "", blocks: float = 0) -> Coroutine[Any, Any, Any]:
        """Asyncio twin of `command`; takes no key, a cluster finds it in the command.

        Args:
            blocks: seconds that the command may block, when it is one that does.
        """
        return self.async_exchange.ask(args, doing or str(args[0]), blocks)

    def arun(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any], doing: str = "") -> Coroutine[Any, Any, Any]:
        """Asyncio twin of `run`."""
        return self.async_exchange.run(script, keys, args, doing)

    # --- connections ---------------------------------------------------------------------------------------------

    def client(self) -> Any:
        """Return this process's redis client (built on first use; embedded: the server is found or started)."""
        return self.pool.client()

    def loop_client(self) -> LoopClient:
        """Return the running event loop's client (built on first use)."""
        return self.async_exchange.client()

    def blocking(self, key: str, block: float) -> Blocking:
        """Return a connection of the caller's own to the server that holds `key`, for commands that block.

        Args:
            block: seconds that the commands block at most.
        """
        from hotqueue.store.blocking import Blocking

        return Blocking(self.exchange, key, block)

    def place_of(self, key: str | bytes) -> str:
        """Return a name for the node of a Cluster that holds `key`, as far as that is known; "" where there is but one server."""
        return self.pool.place_of(key)

    def learn_layout(self) -> Any:
        """Learn anew which node of a Cluster holds which keys; return this process's client.

        Raises:
            ConnectionFailed: no node says.
        """
        client = self.pool.client()
        self.pool.look_again()
        return client

    def translated(self, error: BaseException, doing: str, *, sent: bool = True) -> HotQueueError:
        """Return what an error of redis-py means, in our words."""
        return self.pool.translated(error, doing, sent=sent)

    def close(self) -> None:
        """Close this process's connections, those of event loops in their loops, and let go of the embedded server."""
        made = vars(self)  # what was never used need not be made for this
        if "pool" in made:
            self.pool.close()
        if self.embedded is not None:
            self.embedded.close()
        if "async_exchange" in made:
            self.async_exchange.loops.close()

    async def aclose(self) -> None:
        """Asyncio twin of `close`: closes the running loop's client as well."""
        await self.leave_loop()
        self.close()

    async def leave_loop(self) -> None:
        """Close the running loop's client alone; the loop is about to end."""
        if "async_exchange" in vars(self):
            await self.async_exchange.leave_loop()
