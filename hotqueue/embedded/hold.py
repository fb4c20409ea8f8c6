"""What one process holds of a database's server: a descriptor that shares users.lock, until its end.

While anybody has it, nobody stops the server. How objects of this process share it, and what becomes of it at exit, is here.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading

from hotqueue.embedded import binaries, locks
from hotqueue.embedded import log as server_log
from hotqueue.embedded import start as starting
from hotqueue.embedded.files import Files, check, make_run_folder, write_record
from hotqueue.embedded.waiting import Patience, awaiting_stop
from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError

STOPPING = 5.0  # seconds that close() of the last user waits for the server to be gone
EXITING = 1.0  # the same at the end of the process


class Hold:
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
                check(self.files)
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
        patience = Patience(self.files)
        while True:
            fd = _open_users(self.files, may_create)
            if locks.try_lock(fd, shared=True) and locks.same_file(fd, path):
                locks.keep_over_fork(fd)
                self.users = fd
                return
            locks.close_lock(fd)
            patience.wait("stopping")

    def begin_with(self, address: str, label: str) -> None:
        """Have this private server, which is yet to be started, begin as a copy of the one at a socket."""
        from hotqueue.embedded import snapshot

        path = snapshot.server_program(address)
        program = binaries.at(path)
        if program is None:
            raise ConfigError(f"{label} cannot be copied: its server is {path}, which does not run here any more")
        with self.mutex:
            self._become_user(may_create=True)
        snapshot.snapshot(address, label, self.files.at("dump.rdb"))
        write_record(self.files, binaries.to_record(program))

    def let_go(self) -> None:
        """Stop being a user, and wait a while for the server to stop, if this was the last."""
        with awaiting_stop(self.files, STOPPING), self.mutex:
            self._close()

    def _close(self) -> None:
        if self.users >= 0:
            locks.close_lock(self.users)
        self.users, self.durability = -1, ""


def _open_users(files: Files, may_create: bool) -> int:
    for _ in range(100):
        try:
            if may_create:
                make_run_folder(files)
            return locks.open_lock(files.at("users.lock"), create=may_create)
        except FileNotFoundError:
            if not may_create:
                break  # else removed in between: make it again
    raise ConnectionFailed(f"the private server of {files.run} is gone with the process that made it, and so is its data")


class Holds:
    """The holds of this process, by the folder of their database.

    Attributes:
        lock: to be held while an object takes or drops its hold.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._by_folder: dict[str, Hold] = {}

    def take(self, files: Files) -> Hold:
        """Return the hold on a database, for one object more."""
        hold = self._by_folder.setdefault(files.run, Hold(files))
        hold.count += 1
        return hold

    def drop(self, hold: Hold) -> bool:
        """Count one object less; True: it was the last, and the hold is to be let go."""
        hold.count -= 1
        return hold.count == 0 and self._by_folder.pop(hold.files.run, None) is not None

    def all(self) -> list[Hold]:
        """Return those that there are."""
        return list(self._by_folder.values())


holds = Holds()


@atexit.register
def _let_go_at_exit() -> None:
    held = [hold for hold in holds.all() if hold.users >= 0]
    with contextlib.ExitStack() as stopping:
        for hold in held:
            stopping.enter_context(awaiting_stop(hold.files, EXITING))
        for hold in held:
            hold._close()  # whoever has the mutex is a daemon thread that will not come to an end


def _renew_mutexes() -> None:
    holds.lock = threading.Lock()
    for hold in holds.all():
        hold.mutex = threading.Lock()


def let_go_after_fork() -> None:
    """Drop what this process has inherited; it holds a server again when it uses one.

    For what a task forks, and may leave behind: it would keep the server alive without ever using it. The parent's lock
    stays, since that is the parent's copy.
    """
    for hold in holds.all():
        if hold.users >= 0:
            os.close(hold.users)  # not `close_lock`: whether its mutex was renewed already depends on who was imported first
        hold.users, hold.durability = -1, ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_mutexes)
