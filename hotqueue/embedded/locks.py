"""The locks of the embedded server: flock on small files, dropped by the kernel however their holder ends.

Nobody ever unlocks, everybody closes: a lock that a fork inherited stays until the last copy is closed. What must not
outlive a fork that happens in the middle of it (the locks of a start under way) is closed in the child.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Generator

from hotqueue.runtime import descriptors

if sys.platform != "win32":  # there the package can be imported, and refuses
    import fcntl

SUPPORTED = sys.platform != "win32" and hasattr(socket, "AF_UNIX")
HAS_NAMES = sys.platform == "linux"

_passing: set[int] = set()  # fds that a forked child must not keep
_forking = threading.Lock()


@contextlib.contextmanager
def no_fork() -> Generator[None]:
    """Put off forks of other threads: a child that inherits a pipe of `subprocess` keeps this process waiting for its end."""
    with _forking:
        yield


def open_lock(path: str, *, create: bool = True) -> int:
    """Open a lock file; raises FileNotFoundError when it is missing and may not be created."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    with _forking:
        fd = descriptors.above_standard(os.open(path, flags, 0o600))  # a guardian gets it beside its own streams
        _passing.add(fd)
    return fd


def keep_over_fork(fd: int) -> None:
    _passing.discard(fd)


def close_lock(fd: int) -> None:
    with _forking:
        _passing.discard(fd)
        os.close(fd)


class Claim:
    """What only one server of a database can have: its server.lock, and its name (-1: no such names here)."""

    def __init__(self, server: int, name: int) -> None:
        self.server = server
        self.name = name

    def close(self) -> None:
        """Give up this process's copy. Safe to call again."""
        fds, self.server, self.name = (self.server, self.name), -1, -1
        for fd in fds:
            if fd >= 0:
                close_lock(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(path: str, *, shared: bool = False) -> bool:
    """Tell whether the lock could be had now; a lock file that does not exist is free."""
    try:
        fd = open_lock(path, create=False)
    except FileNotFoundError:
        return True
    try:
        return try_lock(fd, shared=shared)
    finally:
        close_lock(fd)


def same_file(fd: int, path: str) -> bool:
    """Tell whether `path` still is the file behind `fd`, not a successor made after someone deleted it."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def bind_name(name: bytes) -> int | None:
    """Take a name in Linux's abstract namespace, which no cleaner of files can delete.

    Returns: the fd that holds it; -1 where there are no such names, or somebody else has that name; None when it is taken.
    """
    if not HAS_NAMES:
        return -1
    with _forking:
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(b"\0" + name)
            held.listen(8)
        except OSError:
            held.close()
        else:
            fd = descriptors.above_standard(held.detach())
            _passing.add(fd)
            return fd
    return None if poke_name(name) == os.geteuid() else -1


def poke_name(name: bytes) -> int:
    """Ask the guardian behind `name` to look whether its server can still be reached; return its user's number."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(1)
        try:
            link.connect(b"\0" + name)
        except OSError:  # just gone, or too many ask: as good as taken, the caller comes back
            return os.geteuid()
        credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])


def _close_in_child() -> None:
    global _forking
    _forking = threading.Lock()
    for fd in _passing:
        os.close(fd)
    _passing.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _forking.acquire() and None,
        after_in_parent=lambda: _forking.release(),
        after_in_child=_close_in_child,
    )
