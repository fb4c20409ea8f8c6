"""The files around one database: where they are, whose they may be, what they say about the server that wrote them.

Nothing here starts, stops or asks a server. The journal (Redis's append-only file) is the truth; the file that the
user named is read when there is no journal, and written at a stop while the data is small.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError

MEMORY = ":memory:"
SOCKET_PATH_MAX = 100  # the kernel takes 104 (macOS) or 108, and Redis binds a longer one cut off, silently
WAY_OUT = "or name a Redis server with url="
LEAST_TO_START = 64 * 1024  # bytes free on the disk
ENOUGH_TO_START = 1024 * 1024  # bytes free, after a server has died of a full disk


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
        return os.path.join(self.journal_folder, os.path.basename(self.journal) + ".manifest")

    def at(self, name: str) -> str:
        return os.path.join(self.run, name)

    def mine(self) -> list[str]:
        """Whatever holds data, of what exists."""
        return [path for path in (self.database, self.journal, self.journal_folder) if self.database and os.path.lexists(path)]


def _digest(text: bytes) -> str:
    import hashlib

    return hashlib.sha256(text).hexdigest()[:24]


# Refusals


def check(files: Files) -> None:
    """Refuse what could only end badly: no place to write, somebody else's files, something that is no database."""
    if not files.database:
        return
    if not os.path.isdir(files.folder):
        raise ConfigError(f"there is no directory {files.folder} for the database {files.database}: create it, {WAY_OUT}")
    if "\\" in os.path.basename(files.database):
        raise ConfigError(f"{files.database}: the server takes no backslash in a file name: choose another, {WAY_OUT}")
    for path in files.mine():
        check_owner(path)
    if os.path.isdir(files.database):
        inside = os.path.join(files.database, "queue.rdb")
        raise ConfigError(f"{files.database} is a directory: name a file in it, such as {inside}")
    if size(files.database) and not _is_database(files.database):
        raise ConfigError(f"{files.database} is not a Redis database: choose another file name, {WAY_OUT}")


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


# The journal


def has_journal(files: Files) -> bool:
    return bool(size(files.journal) or size(files.manifest))


def has_data(files: Files) -> bool:
    return has_journal(files) or bool(size(files.database))


def journal_size(files: Files) -> int:
    folder = files.journal_folder
    inside = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
    return sum(map(size, [files.journal, *inside]))


def import_database(files: Files) -> bool:
    """Make the file that the user named the start of the journal, unless there is a journal.

    A journal may begin with a database in full, so a copy is a journal already; the rename makes it all or nothing.
    """
    if not files.database or has_journal(files) or not size(files.database):
        return False
    half = files.at("import")
    shutil.copyfile(files.database, half)
    os.chmod(half, 0o600)
    _to_disk(half)
    os.rename(half, files.journal)
    _to_disk(files.folder)
    return True


def undo_import(files: Files) -> None:
    """Drop the copy of a database that no server could read, so that it does not hide a mended one."""
    if os.path.exists(files.journal):
        os.unlink(files.journal)
    shutil.rmtree(files.journal_folder, ignore_errors=True)


def back_up(files: Files) -> str:
    """Copy everything that holds data into a new folder beside it; return that folder."""
    prefix = f"{os.path.basename(files.database)}.backup-{time.strftime('%Y%m%d-%H%M%S')}-"
    folder = tempfile.mkdtemp(prefix=prefix, dir=files.folder)
    for path in [*files.mine(), files.at("server.json")]:
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(folder, os.path.basename(path)))
        elif os.path.exists(path):
            shutil.copy2(path, folder)
    return folder


def restore(files: Files, folder: str) -> None:
    """Put back what `back_up` copied."""
    for path in files.mine():
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    for name in os.listdir(folder):
        saved = os.path.join(folder, name)
        if os.path.isdir(saved):
            shutil.copytree(saved, os.path.join(files.folder, name))
        else:
            shutil.copy2(saved, files.run if name == "server.json" else files.folder)


def _to_disk(path: str) -> None:
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


# What is said to the server and about it


def configuration(files: Files, durability: str, *, folders: bool) -> bytes:
    """The text of redis.conf. `folders`: the server keeps its journal in a folder (Redis 7 and later)."""
    lines: list[tuple[str, str | bytes]] = [
        ("port", b"0"), ("unixsocket", files.socket), ("unixsocketperm", b"600"), ("dir", files.folder),
        ("logfile", files.at("redis.log")), ("daemonize", b"no"), ("save", b""), ("maxmemory-policy", b"noeviction"),
        ("auto-aof-rewrite-min-size", b"16mb"), ("appendfsync", durability),
        ("appendonly", b"yes" if files.database else b"no"),
    ]  # fmt: skip
    if files.database:
        lines += [("dbfilename", os.path.basename(files.database)), ("appendfilename", os.path.basename(files.journal))]
    if files.database and folders:
        lines.append(("appenddirname", os.path.basename(files.journal_folder)))
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


# The server's log


def log_size(files: Files) -> int:
    return size(files.at("redis.log"))


def read_log(files: Files, start: int = 0) -> str:
    """The server's log from `start` on, its last 64 kB at most."""
    try:
        with open(files.at("redis.log"), "rb") as file:
            file.seek(max(start, log_size(files) - 65536))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def open_log(files: Files) -> int:
    """Open the server's log for what is written to its standard error, before it has read its configuration."""
    return os.open(files.at("redis.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def rotate_log(files: Files) -> None:
    if log_size(files) > 1024 * 1024:
        os.replace(files.at("redis.log"), files.at("redis.log.old"))


def last_complaint(log: str) -> str:
    """The last line that says something is wrong, without its stamp."""
    if "FATAL CONFIG FILE ERROR" in log:  # the cause comes in the lines after it
        return " ".join(log.rpartition("FATAL CONFIG FILE ERROR")[2].split("\n")[1:]).strip()
    wrong = [line for line in log.splitlines() if re.search(r"rror|atal|fail|annot|an't|Bad|ermission|No space|abort|hort read", line)]
    return re.sub(r"^\d+:\w .*?\d\.\d{3} . ", "", wrong[-1]).strip() if wrong else ""


def cut_off(log: str) -> bool:
    """Tell whether the server dropped an incomplete end of the journal when it started."""
    return "Truncating the AOF" in log


_DAMAGED = (
    r"Bad file format|Unexpected end of file|Internal error in RDB|Short read|Wrong signature|AOF loading aborted|"
    r"Unknown command|reading the append only file|AOF manifest|RDB checksum"
)


def why_it_died(files: Files, log: str, imported: bool) -> HotQueueError:
    """Turn what the server wrote before it died into one sentence with what to do."""
    label, where = files.label, f"(its log is {files.at('redis.log')})"
    if "No space left on device" in log:
        return disk_full(files)
    if "Can't handle RDB format version" in log:
        return ConfigError(f"{label} was written by a newer server than the one found here: install that one, {WAY_OUT} {where}")
    if imported and re.search(_DAMAGED, log):
        return ConfigError(f"{label} is damaged, no server can read it: put a good copy in its place, or move it away {where}")
    if re.search(_DAMAGED, log):
        return ConfigError(
            f"the data of {label} is damaged and the server will not read it: `hotqueue embedded repair {label}` keeps a "
            f"backup and saves what comes before the damage {where}"
        )
    return ConnectionFailed(f"the embedded server of {label} did not start: {last_complaint(log) or 'no reason given'} {where}")


def disk_full(files: Files) -> ConnectionFailed:
    return ConnectionFailed(
        f"disk full on {files.folder} ({_free_bytes(files)} bytes free): the embedded server of {files.label} cannot write; "
        f"free some space, nothing that was acknowledged is lost"
    )


def cannot_use(files: Files, error: OSError) -> HotQueueError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(files)
    return ConfigError(f"cannot use {files.label} as an embedded database ({error}): choose another place, {WAY_OUT}")


def refuse_full_disk(files: Files) -> None:
    """A server that died of a full disk would die again at its first write: say so instead of starting it over and over."""
    free = _free_bytes(files)
    died_full = "No space left on device" in read_log(files)[-4096:]  # if there was room to log it
    if free < LEAST_TO_START or (died_full and free < ENOUGH_TO_START):
        raise disk_full(files)


def _free_bytes(files: Files) -> int:
    disk = os.statvfs(files.folder)
    return disk.f_bavail * disk.f_frsize
