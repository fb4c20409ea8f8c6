"""The files around one database: where they are, whose they may be, what they say about its server.

Nothing here starts, stops or asks a server. What holds data is in `journal`.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hotqueue.errors import ConfigError

MEMORY = ":memory:"
SOCKET_PATH_MAX = 100  # the kernel takes 104 (macOS) or 108, and Redis binds a longer one cut off, silently
WAY_OUT = "or name a Redis server with url="


def default_path() -> str:
    """Return the user's own database file, the same from every working directory."""
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        state = os.path.join(home, "Library", "Application Support")
    else:
        state = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.realpath(os.path.join(state, "hotqueue", "default.rdb"))


def absolute(path: str | os.PathLike[str] | None) -> str:
    """Return where a database is, in the one spelling that all its users share; None is the user's own.

    Raises:
        ConfigError: it names no file.
    """
    if path is None:
        return default_path()
    if path == MEMORY:
        return MEMORY
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ConfigError(f"dbfilename={path!r} names no file")
    return os.path.realpath(os.path.expanduser(text))


def private_root() -> str:
    """The folder of this user's private servers."""
    base = tempfile.gettempdir()
    return os.path.join(base if len(os.fsencode(base)) < 60 else "/tmp", f"hotqueue-{os.geteuid()}")


@dataclass(frozen=True)
class Files:
    """The paths of one database. `database` is empty for a private server, which has no file but its folder."""

    database: str
    run: str

    @classmethod
    def of(cls, path: str) -> Files:
        return cls(path, path + ".hotqueue")

    @classmethod
    def private(cls, run: str) -> Files:
        return cls("", run)

    @property
    def label(self) -> str:
        return self.database or MEMORY

    @property
    def folder(self) -> str:
        return os.path.dirname(self.database) if self.database else self.run

    @property
    def socket(self) -> str:
        near = os.path.join(self.run, "s")
        if len(os.fsencode(near)) <= SOCKET_PATH_MAX:
            return near
        return f"/tmp/hotqueue-{os.geteuid()}/s-{_digest(os.fsencode(self.run))}"

    @property
    def name(self) -> bytes:
        """The same for every spelling of the path; see `locks.bind_name`."""
        place = os.stat(self.folder)
        identity = f"{place.st_dev}:{place.st_ino}/".encode() + os.fsencode(os.path.basename(self.database or self.run))
        return f"hotqueue/{os.geteuid()}/{_digest(identity)}".encode()

    @property
    def journal(self) -> str:
        """The journal of Redis 6.2, one file."""
        return self.database + ".aof"

    @property
    def journal_folder(self) -> str:
        """The journal of Redis 7 and later, a folder."""
        return self.database + ".aofdir"

    @property
    def manifest(self) -> str:
        """Lists the files in the journal folder; their names are plain, for the server reads a quote in one as quoting."""
        return os.path.join(self.journal_folder, "journal.aof.manifest")

    def at(self, name: str) -> str:
        return os.path.join(self.run, name)

    def mine(self) -> list[str]:
        """Whatever holds data, of what exists."""
        return [path for path in (self.database, self.journal, self.journal_folder) if self.database and os.path.lexists(path)]


def _digest(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()[:24]


def check(files: Files) -> None:
    """Refuse what could only end badly: no place to write, somebody else's files, something that is no database."""
    if not files.database:
        return
    if not is_there(files.folder, stat.S_ISDIR):
        raise ConfigError(f"there is no directory {files.folder} for the database {files.database}: create it, {WAY_OUT}")
    if "\\" in os.path.basename(files.database):
        raise ConfigError(f"{files.database}: the server takes no backslash in a file name: choose another, {WAY_OUT}")
    for path in (files.database, files.journal, files.journal_folder, files.run):
        if is_there(path):
            check_owner(path)
    if os.path.isdir(files.database):
        inside = os.path.join(files.database, "queue.rdb")
        raise ConfigError(f"{files.database} is a directory: name a file in it, such as {inside}")
    if size(files.database) and not _is_database(files.database):
        raise ConfigError(f"{files.database} is not a Redis database: choose another file name, {WAY_OUT}")


def is_there(path: str, kind: Callable[[int], bool] = lambda mode: True) -> bool:
    """Tell whether a path is there, and of a kind; unlike `os.path.exists`, an OSError where that cannot be seen."""
    try:
        return kind(os.lstat(path).st_mode) or kind(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_owner(path: str) -> None:
    """A planted file is a set of pickles that a worker would run: whose it is decides."""
    owner = os.lstat(path).st_uid
    if owner != os.geteuid():
        raise ConfigError(
            f"{path} belongs to user {_user(owner)}, and this process runs as {_user(os.geteuid())}: "
            f"run producers and workers as one user, {WAY_OUT}"
        )


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def make_default_folder(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {os.path.dirname(path)} for your own queue database ({error.strerror}): set XDG_STATE_HOME to a "
            f"folder of yours, name a file with dbfilename=, or a Redis server with url= (or HOTQUEUE_URL)"
        ) from error


def make_run_folder(files: Files) -> None:
    if not files.database:
        _make_private(os.path.dirname(files.run), files)
    _make_private(files.run, files)
    if os.path.dirname(files.socket) != files.run:
        _make_private(os.path.dirname(files.socket), files)


def _make_private(folder: str, files: Files) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not files.database and folder == files.run:
            raise  # the folder of such folders went with the last of them just now: it is made again
        raise ConfigError(
            f"cannot write in {os.path.dirname(folder)}, where the database {files.label} is to be ({error.strerror}): "
            f"choose another place with dbfilename=, {WAY_OUT}"
        ) from error
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{folder} is in the way, the embedded server needs a folder of that name: remove it")
    check_owner(folder)
    if found.st_mode & 0o077:
        os.chmod(folder, 0o700)


def to_disk(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _is_database(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(6).startswith((b"REDIS", b"VALKEY"))  # Valkey 9 signs with its own name


def configuration(files: Files, durability: str, *, folders: bool) -> bytes:
    """The text of redis.conf. `folders`: the server keeps its journal in a folder (Redis 7 and later)."""
    lines: list[tuple[str, str | bytes]] = [
        ("port", b"0"), ("unixsocket", files.socket), ("unixsocketperm", b"600"), ("dir", files.folder),
        ("logfile", files.at("redis.log")), ("daemonize", b"no"), ("save", b""), ("maxmemory-policy", b"noeviction"),
        ("auto-aof-rewrite-min-size", b"16mb"), ("appendfsync", durability), ("lazyfree-lazy-expire", b"yes"),
        ("appendonly", b"yes" if files.database else b"no"),
    ]  # fmt: skip
    if files.database:
        lines += [("dbfilename", os.path.basename(files.database))]
    if files.database and folders:
        lines += [("appendfilename", "journal.aof"), ("appenddirname", os.path.basename(files.journal_folder))]
    elif files.database:
        lines += [("appendfilename", os.path.basename(files.journal))]
    return b"".join(b'%s "%s"\n' % (key.encode(), _escaped(value)) for key, value in lines)


def _escaped(value: str | bytes) -> bytes:
    """Every byte as \\xHH: no space, quote, backslash or newline in a path means anything then."""
    return b"".join(b"\\x%02x" % byte for byte in os.fsencode(value))


def write(path: str, content: bytes) -> None:
    """Write the file whole or not at all."""
    half = path + ".half"
    fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    os.rename(half, path)


def read_record(files: Files) -> dict[str, Any]:
    """What server.json says; empty when it says nothing that can be used."""
    try:
        with open(files.at("server.json"), "rb") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(files: Files, record: dict[str, Any]) -> None:
    write(files.at("server.json"), json.dumps(record, indent=1).encode())


def read_owner(files: Files) -> tuple[int, str]:
    """The process id and the host of the server that runs, or ran last; (0, "") when unknown. For messages only."""
    try:
        with open(files.at("server.lock"), encoding="utf-8") as file:
            pid, _, host = file.read().partition(" ")
        return int(pid), host
    except (OSError, ValueError):
        return 0, ""
