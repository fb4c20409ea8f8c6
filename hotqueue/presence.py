"""A process's incarnation and the flock that shows it is alive; is that one alive?

Same-host death is seen at once: the kernel drops a flock however its holder dies, zombie or not, and keeps it for a
stopped process. Where the folder is not in sight the answer is None, and only a lease can tell. Knows nothing of Redis.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import mmap
import os
import secrets
import socket
import stat
import time
import weakref
from collections.abc import Collection
from pathlib import Path

from hotqueue.runtime import descriptors

try:
    import fcntl
except ImportError:  # Windows: no flock, so every answer is None and leases decide
    fcntl = None  # type: ignore[assignment]

TROUBLE = "presence"  # in `Settings.said`
_open: weakref.WeakSet[Presence] = weakref.WeakSet()


def folder() -> str:
    """Return this boot's and mount namespace's folder of presence files ("" where there is none).

    Named by boot id and mount namespace, so that a container which shares a host name, or a folder that outlived a
    reboot, is never mistaken for this host.
    """
    return _folder()[0]


def _folder() -> tuple[str, str]:
    """Return the folder; and if there is none, what is wrong: nothing, where the platform has no flock."""
    if fcntl is None:
        return "", ""
    where = Path(f"/tmp/hotqueue-{os.getuid()}")
    name = where / f"present-{_here(os.getpid())}"
    try:
        where.mkdir(mode=0o700, exist_ok=True)
        if trouble := _distrust(where):
            return "", trouble
        name.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        return "", f"{error.filename or where}: {error.strerror}"
    return str(name), ""


def _distrust(where: Path) -> str:
    seen = where.lstat()
    if not stat.S_ISDIR(seen.st_mode):
        return f"{where} is no folder"
    if seen.st_uid != os.getuid():
        return f"{where} belongs to another user (uid {seen.st_uid})"
    return f"{where} is open to other users (mode {seen.st_mode & 0o777:o})" if seen.st_mode & 0o077 else ""


@functools.lru_cache(maxsize=1)
def _here(_pid: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/mnt")
    except OSError:
        boot, space = socket.gethostname(), ""
    return hashlib.blake2b(f"{boot} {space}".encode(), digest_size=8).hexdigest()


class Presence:
    """One incarnation: a name that is never used again, and a locked file as long as the process lives.

    Args:
        size: bytes of shared state that other processes may read in the file (see running_table.py in tasks/worker/); 0 for none.

    Attributes:
        id: ``host-pid-random``; safe in a Redis key.
        folder: where the locked file is; "" when there is none.
        trouble: why no file can be kept, though this platform has flocks.
        state: the file's bytes, shared (this process's own where there is no file), or None for none.

    Raises:
        OSError: too many open files. Whatever else is wrong with the folder, a name is all that is needed to go on.
    """

    def __init__(self, size: int = 0) -> None:
        host = socket.gethostname().split(".")[0].replace("{", "").replace("}", "") or "host"
        self.id = f"{host[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.folder = folder()
        self.trouble = "" if self.folder else _folder()[1]
        self.state: mmap.mmap | bytearray | None = bytearray(size) if size else None
        self._fd = -1
        if self.folder:
            try:
                self._hold(size)
            except OSError as error:
                self._go_without(error)
        _open.add(self)

    def _go_without(self, error: OSError) -> None:
        self.trouble = f"{self.folder}: {error.strerror}"
        self.close()
        self.folder = ""
        if descriptors.shortage(error):
            raise error

    def _hold(self, size: int) -> None:
        self._fd = os.open(path_of(self.folder, self.id), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(self._fd, 0o600)  # whatever umask a task has set
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if size:
            _reserve(self._fd, size)
            # Opened anew: mmap keeps a duplicate of its descriptor, by which every forked grandchild would keep the lock.
            with open(path_of(self.folder, self.id), "r+b") as file:
                self.state = mmap.mmap(file.fileno(), size)

    def let_go(self) -> None:
        """Drop the lock but leave the file, as death would: for a child after fork."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def unmap(self) -> None:
        """Give the state back, and the descriptor that it takes; where somebody still looks at it, it goes with him."""
        if isinstance(self.state, mmap.mmap):
            with contextlib.suppress(BufferError):
                self.state.close()
        self.state = None

    def close(self) -> None:
        """Leave: drop the lock and remove the file. Only after everything held under this name was given back."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(path_of(self.folder, self.id))
        self.let_go()
        _open.discard(self)


def _reserve(fd: int, size: int) -> None:
    """Have a file take its space now: a full disk is an error here, and a deadly signal at a write to its mapping."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    elif os.write(fd, bytes(size)) < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def advice(trouble: str, lease: float) -> str:
    """Return what a worker without a presence file says.

    Args:
        trouble: why it has none.
        lease: its length in seconds.
    """
    return (
        f"no presence file can be kept ({trouble}): should all processes of this worker die at once, others notice only when "
        f"its lease runs out ({lease:g} s), and cannot tell which tasks ran; all else works as ever. Make "
        f"/tmp/hotqueue-{os.getuid()} a folder that this user owns, with mode 700, on a disk that is writable and not full"
    )


def path_of(folder: str, incarnation: str) -> str:
    """Return where an incarnation's locked file is."""
    return os.path.join(folder, incarnation)


def _is_in_sight(where: str, incarnation: str) -> bool:
    """Tell whether this can be the file of an incarnation of this host and user.

    Folder and name come from Redis. Were they believed, whoever can write there could have any file of ours opened, read
    and removed.
    """
    is_name = bool(incarnation) and "/" not in incarnation and "\0" not in incarnation
    return is_name and bool(where) and where == folder()


def is_alive(folder: str, incarnation: str) -> bool | None:
    """Tell whether an incarnation's process lives; None when that cannot be told from here.

    Args:
        folder: the folder it announced, as it announced it.
    """
    return _is_alive(folder, incarnation) if _is_in_sight(folder, incarnation) else None


def _is_alive(folder: str, incarnation: str) -> bool | None:
    try:
        fd = os.open(path_of(folder, incarnation), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None  # another host, another user, or a cleaner removed the file
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def dead_here(known: Collection[str] = ()) -> list[str]:
    """Return the incarnations of this host and user whose processes have died and left their files.

    Args:
        known: those that are known to be dead, and need no second look.
    """
    here = folder()
    try:
        names = os.listdir(here) if here else []
    except OSError:
        return []
    return [name for name in names if name in known or _is_alive(here, name) is False]


def has_left(folder: str, incarnation: str) -> bool:
    """Tell whether an incarnation has removed its file, as it does once it holds nothing; False when that cannot be seen."""
    return _is_in_sight(folder, incarnation) and not os.path.exists(path_of(folder, incarnation))


def read_state(folder: str, incarnation: str) -> bytes | None:
    """Return the state that an incarnation left in its file, or None."""
    if not _is_in_sight(folder, incarnation):
        return None
    try:
        return Path(path_of(folder, incarnation)).read_bytes()
    except OSError:
        return None


def read_states(folder: str, incarnation: str) -> dict[str, bytes]:
    """Return what all incarnations of the same process left: by their names, as far as their files are there."""
    if not _is_in_sight(folder, incarnation):
        return {}
    process = incarnation.rpartition("-")[0] + "-"
    names = [name for name in os.listdir(folder) if name.startswith(process)]
    found = {name: read_state(folder, name) for name in names}
    return {name: state for name, state in found.items() if state is not None}


def clear_state(folder: str, incarnation: str) -> None:
    """Have a dead incarnation's file say that it ran nothing: whoever finds it charges nothing."""
    if _is_in_sight(folder, incarnation):
        with contextlib.suppress(OSError), open(path_of(folder, incarnation), "r+b") as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))


def forget(folder: str, incarnation: str) -> None:
    """Remove the file of an incarnation that holds nothing any more."""
    if _is_in_sight(folder, incarnation):
        with contextlib.suppress(OSError):
            os.unlink(path_of(folder, incarnation))


def tidy(older: float) -> None:
    """Remove the files, untouched for `older` seconds, of this host's incarnations that are dead."""
    here = folder()
    try:
        names = os.listdir(here) if here else []
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):  # another process tidied it away
            if os.stat(path_of(here, name)).st_mtime < time.time() - older and is_alive(here, name) is False:
                forget(here, name)


def _after_fork_in_child() -> None:
    # A grandchild that outlives its parent must not keep the parent's lock: close, never LOCK_UN (that would unlock both).
    for presence in list(_open):
        presence.let_go()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
