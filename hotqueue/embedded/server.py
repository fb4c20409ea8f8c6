"""The embedded server: one for one database file, however many processes open it and however they die.

Three locks in a private folder beside the file: start.lock (finding or starting the server), users.lock (shared by
every process that uses it), server.lock (the server's own). What a process holds is in `hold`, finding and starting in
`start`; stopping is the server's parent's, `guardian`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any

from hotqueue.embedded import guardian, locks
from hotqueue.embedded.files import MEMORY, Files, absolute, make_default_folder, private_root
from hotqueue.embedded.hold import Hold, holds
from hotqueue.embedded.waiting import probe
from hotqueue.errors import STORE_ERRORS, ConfigError, ConnectionFailed, HotQueueError
from hotqueue.runtime import testing_mode

DURABILITIES = ("everysec", "always")
DIED = "the private server that held the copy has died (out of memory?)"


class EmbeddedServer:
    """This process's use of the server of one database file.

    1. Making one starts nothing and touches nothing.
    2. `ensure` becomes a user of the database, by sharing a lock (`hold`), and finds or starts its server (`start`). Again,
       it costs next to nothing; after an error, it looks whether the server answers, and starts it again with its data.
    3. Other objects and threads of the process share the hold, and forked children have a copy.
    4. `close`, or the end of the process, gives it up. When nobody holds the database any more, the guardian stops the server.

    Args:
        path: the database file; None is the user's own (`default_path`), ":memory:" a server that is private to this
            process and its children and gone when they are.
        durability: "everysec" (a power cut costs at most two seconds) or "always" (nothing, at a third of the speed).
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, durability: str = "everysec") -> None:
        if durability not in DURABILITIES:
            raise ConfigError(f'durability={durability!r} is unknown: "everysec" or "always"')
        self.durability = durability
        self._hold: Hold | None = None
        self._private = ""
        self._may_create = True
        self._may_restart = True  # False: what it holds is nowhere else
        self._is_default = path is None
        self.path = absolute(path)
        if self.path == MEMORY:
            self._private = _private_folder()
            _unstarted.add(self)

    @classmethod
    def private(cls, source: EmbeddedServer | None = None) -> EmbeddedServer:
        """Start a server like ":memory:", but one of this object alone, on what `source` holds at this moment.

        Args:
            source: what to begin with; its users go on meanwhile. None: with nothing.

        Raises:
            ConfigError, ConnectionFailed: as `ensure`, of either.
        """
        made = cls(MEMORY)
        _unstarted.discard(made)
        made._private = os.path.join(private_root(), f"m-{os.urandom(8).hex()}")
        hold = made._take()
        try:
            if source is not None:
                hold.begin_with(source.ensure(), source.path)
            made.ensure()
            made._may_restart = False
        except BaseException:
            made.close()
            guardian.remove_private(os.fsencode(made._private))  # there may be no guardian yet that would
            raise
        return made

    def export(self, path: str, *, replace: bool = False) -> None:
        """Save what a private server holds as the database `path`: whole or not at all.

        Raises:
            ConfigError: there is data and `replace` is not given, the database is in use, or cannot be put there.
        """
        from hotqueue.embedded import snapshot
        from hotqueue.embedded.log import explained

        with _while_it_lives():
            snapshot.save(self.ensure(), self.path)
        with explained(path):
            snapshot.put(os.path.join(self._private, "dump.rdb"), path, replace)

    def is_readable_here(self) -> bool:
        """Tell whether the program that opens a new file here reads what this private server saves."""
        from hotqueue.embedded import binaries, snapshot

        with _while_it_lives():
            wrote = binaries.at(snapshot.server_program(self.ensure()))
        return wrote is not None and binaries.reads(binaries.choose(None, self.path), wrote)

    def ensure(self, after_error: bool = False) -> str:
        """Attach to the server, or start it; return the path of its socket. Costs next to nothing once attached.

        Args:
            after_error: check that it really answers, and start it again with its data if it does not.

        Raises:
            ConfigError: something the user has to mend: rights, places, versions, damaged data.
            ConnectionFailed: the server cannot be started or does not answer.
        """
        hold = self._hold or self._take()
        if not self._may_restart and after_error and probe(hold.socket) != "up":
            raise ConnectionFailed(DIED, retry=False)
        if after_error or not hold.serves(self.durability):
            hold.attach(self.durability, after_error, may_create=self._may_create)
            _unstarted.discard(self)
        return hold.socket

    def close(self) -> None:
        """Drop this object's hold; the server stops with the last hold of the last process. Safe to call again."""
        with holds.lock:
            hold, self._hold = self._hold, None
            is_last = hold is not None and holds.drop(hold)
        if hold is not None and is_last:
            hold.let_go()

    def __repr__(self) -> str:
        return f"EmbeddedServer({self.path!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self.path == MEMORY and testing_mode.sandbox is None:
            self.ensure()  # whoever gets the copy may come and go before this process needs its server
        return {"path": self.path, "durability": self.durability, "_private": self._private, "_is_default": self._is_default}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._may_create = self.path != MEMORY or self._private == _private_folder()
        self._may_restart = True
        self._hold = None

    @classmethod
    def described(cls, state: dict[str, Any]) -> EmbeddedServer:
        """Return the server of which `__getstate__` says this."""
        made = cls.__new__(cls)
        made.__setstate__(state)
        return made

    def _take(self) -> Hold:
        if not locks.SUPPORTED:
            raise ConfigError(f"the embedded server does not run on {sys.platform}: name a Redis server with url=")
        if self._is_default:
            make_default_folder(self.path)
        files = Files.private(self._private) if self.path == MEMORY else Files.of(self.path)
        with holds.lock:
            if self._hold is None:
                self._hold = holds.take(files)
            return self._hold


@contextlib.contextmanager
def _while_it_lives() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, HotQueueError):
            raise
        raise ConnectionFailed(DIED, retry=False) from error


_unstarted: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()
_private = ""


def _private_folder() -> str:
    """One private server per process; forked children inherit its folder's name, spawned ones get it with a pickled object."""
    global _private
    _private = _private or os.path.join(private_root(), f"m-{os.urandom(8).hex()}")
    return _private


def _start_private_servers() -> None:
    """Start, before a fork, what parent and child are to share: the child may put, and be gone, before the parent gets."""
    for server in list(_unstarted):
        with contextlib.suppress(*STORE_ERRORS):  # raised where it is used; a fork alone does not use it
            server.ensure()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_start_private_servers)
