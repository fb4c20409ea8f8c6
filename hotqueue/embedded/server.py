"""Life of the embedded server: one server for one database file, however many processes open it and however they die.

Three locks in a private folder beside the file: start.lock (finding or starting the server), users.lock (shared by
every process that uses it), server.lock (the server's own). Here: what this process holds. Finding and starting is
`start`, stopping is the server's parent's, `guardian`. No redis client in here: `clients` has them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from hotqueue.embedded import files as store
from hotqueue.embedded import guardian, locks
from hotqueue.embedded import log as server_log
from hotqueue.embedded import start as starting
from hotqueue.embedded.files import MEMORY, Files
from hotqueue.errors import STORE_ERRORS, ConfigError, ConnectionFailed, HotQueueError
from hotqueue.runtime import in_place

STOPPING = 5.0  # seconds that close() of the last user waits for the server to be gone
EXITING = 1.0  # the same at the end of the process
DURABILITIES = ("everysec", "always")
DIED = "the private server that held the copy has died (out of memory?)"


def default_path() -> str:
    """Return the user's own database file, the same from every working directory."""
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        state = os.path.join(home, "Library", "Application Support")
    else:
        state = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.realpath(os.path.join(state, "hotqueue", "default.rdb"))


class EmbeddedServer:
    """This process's hold on the server of one database file. Making one starts nothing and touches nothing.

    Args:
        path: the database file; None is the user's own (`default_path`), ":memory:" a server that is private to this
            process and its children and gone when they are.
        durability: "everysec" (a power cut costs at most two seconds) or "always" (nothing, at a third of the speed).
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, durability: str = "everysec") -> None:
        if durability not in DURABILITIES:
            raise ConfigError(f'durability={durability!r} is unknown: "everysec" or "always"')
        self.durability = durability
        self._hold: _Hold | None = None
        self._private = ""
        self._may_create = True
        self._may_restart = True  # False: what it holds is nowhere else
        self._is_default = path is None
        self.path = _absolute(path)
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
        made._private = os.path.join(store.private_root(), f"m-{os.urandom(8).hex()}")
        hold = made._take()
        try:
            if source is not None:
                hold.begin_with(source)
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

        with _while_it_lives():
            snapshot.save(self.ensure(), self.path)
        with _as_said(path):
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
        if not self._may_restart and after_error and starting.probe(hold.socket) != "up":
            raise ConnectionFailed(DIED, retry=False)
        if after_error or not hold.serves(self.durability):
            hold.attach(self.durability, after_error, may_create=self._may_create)
            _unstarted.discard(self)
        return hold.socket

    def close(self) -> None:
        """Drop this object's hold; the server stops with the last hold of the last process. Safe to call again."""
        with _holding:
            hold, self._hold = self._hold, None
            last = hold is not None and hold.drop()
        if hold is not None and last:
            hold.let_go()
            starting.await_stop(hold.files, STOPPING)

    def __repr__(self) -> str:
        return f"EmbeddedServer({self.path!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self.path == MEMORY and in_place.stage is None:
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

    def _take(self) -> _Hold:
        if not locks.SUPPORTED:
            raise ConfigError(f"the embedded server does not run on {sys.platform}: name a Redis server with url=")
        if self._is_default:
            store.make_default_folder(self.path)
        files = Files.private(self._private) if self.path == MEMORY else Files.of(self.path)
        with _holding:
            if self._hold is None:
                self._hold = _holds.setdefault(files.run, _Hold(files))
                self._hold.count += 1
            return self._hold


@contextlib.contextmanager
def _while_it_lives() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, HotQueueError):
            raise
        raise ConnectionFailed(DIED, retry=False) from error


def _absolute(path: str | os.PathLike[str] | None) -> str:
    if path is None:
        return default_path()
    if path == MEMORY:
        return MEMORY
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ConfigError(f"dbfilename={path!r} names no file")
    return os.path.realpath(os.path.expanduser(text))


class _Hold:
    """The hold of all objects of this process on one database: one descriptor that shares users.lock.

    A forked child inherits the descriptor, and with it the hold; an exec'ed one does not.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.socket = files.socket
        self.count = 0
        self.users = -1
        self.durability = ""  # what the server was asked for; empty: not attached
        self.mutex = threading.Lock()

    def serves(self, durability: str) -> bool:
        return self.durability in (durability, "always")

    def attach(self, durability: str, after_error: bool, *, may_create: bool) -> None:
        with self.mutex:
            if self.serves(durability) and not after_error:
                return
            if not self.count:
                raise ConnectionFailed(f"the queue on {self.files.label} was closed by another thread")
            wanted = "always" if self.durability == "always" else durability
            try:
                store.check(self.files)
                self._become_user(may_create)
                starting.attach(self.files, wanted)
            except BaseException as error:
                if not self.durability:
                    self._close()
                if isinstance(error, OSError) and not isinstance(error, HotQueueError):
                    raise server_log.cannot_use(self.files, error) from error
                raise
            self.durability = wanted

    def _become_user(self, may_create: bool) -> None:
        """Share users.lock: from then on nobody stops the server. Waits while the server is being stopped."""
        path = self.files.at("users.lock")
        if self.users >= 0 and locks.same_file(self.users, path):
            return
        self._close()
        patience = starting.Patience(self.files)
        while True:
            fd = _open_users(self.files, may_create)
            if locks.try_lock(fd, shared=True) and locks.same_file(fd, path):
                locks.keep_over_fork(fd)
                self.users = fd
                return
            locks.close_lock(fd)
            patience.wait("stopping")

    def begin_with(self, source: EmbeddedServer) -> None:
        """Have this private server, which is yet to be started, begin as a copy of another."""
        from hotqueue.embedded import binaries, snapshot

        address = source.ensure()
        path = snapshot.server_program(address)
        program = binaries.at(path)
        if program is None:
            raise ConfigError(f"{source.path} cannot be copied: its server is {path}, which does not run here any more")
        with self.mutex:
            self._become_user(may_create=True)
        snapshot.snapshot(address, source.path, self.files.at("dump.rdb"))
        store.write_record(self.files, binaries.to_record(program))

    def drop(self) -> bool:
        """Count one object less; True: it was the last. Called with `_holding`."""
        self.count -= 1
        return self.count == 0 and _holds.pop(self.files.run, None) is not None

    def let_go(self) -> None:
        with self.mutex:
            self._close()

    def _close(self) -> None:
        if self.users >= 0:
            locks.close_lock(self.users)
        self.users, self.durability = -1, ""


def _open_users(files: Files, may_create: bool) -> int:
    for _ in range(100):
        try:
            if may_create:
                store.make_run_folder(files)
            return locks.open_lock(files.at("users.lock"), create=may_create)
        except FileNotFoundError:
            if not may_create:
                break  # else removed in between: make it again
    raise ConnectionFailed(f"the private server of {files.run} is gone with the process that made it, and so is its data")


_holds: dict[str, _Hold] = {}
_holding = threading.Lock()
_unstarted: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()
_private = ""


def _private_folder() -> str:
    """One private server per process; forked children inherit its folder's name, spawned ones get it with a pickled object."""
    global _private
    _private = _private or os.path.join(store.private_root(), f"m-{os.urandom(8).hex()}")
    return _private


@atexit.register
def _let_go_at_exit() -> None:
    held = [hold for hold in _holds.values() if hold.users >= 0]
    for hold in held:
        hold._close()  # whoever has the mutex is a daemon thread that will not come to an end
    for hold in held:
        starting.await_stop(hold.files, EXITING)


def _start_private_servers() -> None:
    """Start, before a fork, what parent and child are to share: the child may put, and be gone, before the parent gets."""
    for server in list(_unstarted):
        with contextlib.suppress(*STORE_ERRORS):  # told to whoever uses it; a fork alone does not
            server.ensure()


def _renew_mutexes() -> None:
    global _holding
    _holding = threading.Lock()
    for hold in _holds.values():
        hold.mutex = threading.Lock()


def let_go_after_fork() -> None:
    """Drop what this process has inherited; it holds a server again when it uses one.

    For what a task forks, and may leave behind: it would keep the server alive without ever using it. The parent's lock
    stays, since that is the parent's copy.
    """
    for hold in _holds.values():
        if hold.users >= 0:
            os.close(hold.users)  # not `close_lock`: whether its mutex was renewed already depends on who was imported first
        hold.users, hold.durability = -1, ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_start_private_servers, after_in_child=_renew_mutexes)


def status(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Tell, without starting anything, how the server of a database file is; the answer can be made JSON.

    Raises:
        ConfigError: there is no such database, or it is not this user's.
    """
    return _care("status", path)


def repair(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Cut a damaged journal before the damage, after a backup.

    Raises:
        ConfigError: the database is in use, or cannot be repaired this way.
    """
    return _care("repair", path)


def check_place(path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Refuse a place where no copy can be put.

    Args:
        replace: data that is there may be lost.

    Raises:
        ConfigError: there is data, somebody uses it, or it is no place for a database.
    """
    from hotqueue.embedded import snapshot

    found = _absolute(path)
    with _as_said(found):
        snapshot.check_place(found, replace)


def upgrade(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Hand the database to the newest server found, for good, after a backup.

    Raises:
        ConfigError: the database is in use, or no newer server can read it.
    """
    return _care("upgrade", path)


def _care(what: str, path: str | os.PathLike[str] | None) -> dict[str, Any]:
    from hotqueue.embedded import care

    found = _absolute(path)
    with _as_said(found):
        told: dict[str, Any] = getattr(care, what)(found)
    return told


@contextlib.contextmanager
def _as_said(path: str) -> Iterator[None]:
    """Turn what the system refuses into a sentence about the database."""
    try:
        yield
    except OSError as error:
        if isinstance(error, HotQueueError):
            raise
        raise server_log.cannot_use(Files.of(path), error) from error
