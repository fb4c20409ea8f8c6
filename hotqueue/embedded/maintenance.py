"""Maintenance of a database file: how its server is, mending a damaged journal, handing it to a newer server.

Whatever changes files first makes sure that nobody uses them, and keeps a backup beside them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from hotqueue.embedded import binaries, journal, locks
from hotqueue.embedded import log as server_log
from hotqueue.embedded import start as starting
from hotqueue.embedded.files import MEMORY, Files, absolute, check, is_there, make_run_folder, read_owner, read_record, size
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.log import explained
from hotqueue.embedded.waiting import LOOKS, Patience, await_stop, is_in_use, probe
from hotqueue.errors import ConfigError, HotQueueError

STOPPING = 30.0  # seconds that a server may take to end which nobody uses any more


def status(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Tell, without starting anything, how the server of a database file is; the answer can be made JSON.

    Raises:
        ConfigError: there is no such database, or it is not this user's.
    """
    found = absolute(path)
    with explained(found):
        return _status(_files(found))


def _status(files: Files) -> dict[str, Any]:
    pid, host = read_owner(files)
    running = not locks.is_free(files.at("server.lock"))
    record = read_record(files)
    return {
        "path": files.database,
        "running": running,
        "answers": running and probe(files.socket) == "up",
        "pid": pid if running else None,
        "host": host if running else None,
        "server": record.get("server"),
        "version": record.get("version"),
        "binary": record.get("binary"),
        "socket": files.socket,
        "users": _users(files),
        "database_bytes": size(files.database),
        "journal_bytes": journal.journal_size(files),
        "log": files.at("redis.log"),
        "last_error": server_log.last_complaint(server_log.read_log(files)) or None,
        **(_figures(files) if running else {}),
    }


def _figures(files: Files) -> dict[str, Any]:
    try:
        info = dict(line.split(b":", 1) for line in ask(files.socket, b"INFO").split(b"\r\n") if b":" in line)
        keys = int(ask(files.socket, b"DBSIZE"))
        durability = ask(files.socket, b"CONFIG", b"GET", b"appendfsync").split(b"\n")[-1].decode()
        return {
            "memory_bytes": int(info[b"used_memory"]),
            "clients": int(info[b"connected_clients"]) - 1,
            "uptime_seconds": int(info[b"uptime_in_seconds"]),
            "keys": keys,
            "durability": durability,
            "disk_ok": info.get(b"aof_last_write_status", b"ok") == b"ok",
        }
    except (OSError, ValueError, KeyError):  # it went, or it has other things to do: the rest stands
        return {}


def _users(files: Files) -> list[int] | None:
    """The processes that took users.lock, where the system tells (Linux); None where it does not."""
    try:
        with open("/proc/locks", encoding="ascii") as file:
            taken = [line.split() for line in file if " FLOCK " in line and "READ" in line and "->" not in line]
        inode = str(os.stat(files.at("users.lock")).st_ino)
    except OSError:
        return [] if os.path.exists("/proc/locks") else None
    return sorted({int(fields[4]) for fields in taken if fields[5].rpartition(":")[2] == inode})


def stop(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """End the server of a database, once it has written all; whoever uses it starts it again with its next call.

    Returns:
        The path, and whether there was one to end.

    Raises:
        ConfigError: it refuses, as where its disk is full, or does not answer.
    """
    found = absolute(path)
    with explained(found):
        return _stop(_files(found))


def _stop(files: Files) -> dict[str, Any]:
    if locks.is_free(files.at("server.lock")):
        return {"path": files.database, "stopped": False}
    try:
        refusal = ask(files.socket, b"SHUTDOWN", timeout=STOPPING)
    except ConnectionResetError:
        deadline = time.monotonic() + STOPPING
        while not locks.is_free(files.at("server.lock")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return {"path": files.database, "stopped": True}
    except OSError as error:
        raise ConfigError(f"the server of {files.database} does not answer: {error}") from None
    raise ConfigError(f"the server of {files.database} does not end: {refusal.decode(errors='replace')}")


def repair(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Cut a damaged journal before the damage, after a backup.

    Raises:
        ConfigError: the database is in use, or cannot be repaired this way.
    """
    found = absolute(path)
    with explained(found):
        return _repair(_files(found))


def _repair(files: Files) -> dict[str, Any]:
    if not journal.has_journal(files):
        raise ConfigError(f"{files.database} has no journal that could be repaired")
    with alone(files):
        server = starting.choose(files, read_record(files))
        before = journal.journal_size(files)
        backup = journal.back_up(files)
        report = _check_journal(files, server)
    return {
        "path": files.database,
        "backup": backup,
        "dropped_bytes": before - journal.journal_size(files),
        "kept_bytes": journal.journal_size(files),
        "report": report,
    }


def _check_journal(files: Files, server: binaries.Server) -> str:
    """Check what was appended, and cut the last file where it is damaged."""
    *older, last = journal.appended_files(files) or [files.manifest]
    for path in older:
        _run_check(files, server, path)
    return _run_check(files, server, "--fix", last)


def _run_check(files: Files, server: binaries.Server, *arguments: str) -> str:
    """Run the server program under the name by which it checks journals: every one of them has it built in.

    File by file, not by the manifest: Valkey 9's check does not know the form in which Valkey 9 writes the first file.
    """
    tool = f"{server.name}-check-aof"
    done = subprocess.run(
        [tool, *arguments], executable=server.binary, input=b"y\n", cwd=files.folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, umask=0o077,
    )  # fmt: skip
    report = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode:
        said = report.splitlines()[-1] if report else tool
        raise ConfigError(f"{arguments[-1]} cannot be repaired, it was left as it is: {said}")
    return report


def upgrade(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Hand the database to the newest server found, for good, after a backup.

    Raises:
        ConfigError: the database is in use, or no newer server can read it.
    """
    found = absolute(path)
    with explained(found):
        return _upgrade(_files(found))


def _upgrade(files: Files) -> dict[str, Any]:
    with alone(files) as claim:
        written = starting.written_by(files, read_record(files))
        server = binaries.choose_newest(written, files.label)
        handed = {"path": files.database, "from": written and str(written), "to": str(server), "binary": server.binary}
        if written is None or written.series == server.series:
            return {**handed, "backup": None}
        backup = journal.back_up(files)
        try:
            starting.start(files, "everysec", claim, Patience(files), server)
        except HotQueueError:
            journal.restore(files, backup)
            raise
    await_stop(files, STOPPING)
    return {**handed, "backup": backup}


def _files(path: str) -> Files:
    if path == MEMORY:
        raise ConfigError("a private server (:memory:) has no file to maintain")
    files = Files.of(path)
    if is_there(files.folder):
        check(files)
    if not journal.has_data(files) and not os.path.exists(files.run):
        raise ConfigError(f"there is no database {path}")
    return files


@contextlib.contextmanager
def alone(files: Files) -> Iterator[locks.Claim]:
    """Hold every lock of a database that nobody uses, and its server's claim; refuse if somebody does."""
    make_run_folder(files)
    deadline, in_use = time.monotonic() + STOPPING, 0
    while True:
        await_stop(files, deadline - time.monotonic())  # the last user may have gone just now
        with _all_locks(files) as claim:
            if claim is not None:
                yield claim
                return
        in_use = in_use + 1 if is_in_use(files) else 0
        if in_use == LOOKS or time.monotonic() > deadline:
            using = ", ".join(map(str, _users(files) or ())) or "unknown"
            raise ConfigError(f"{files.database} is in use (by process {using}): stop its workers and programs first")
        time.sleep(0.001)  # a guardian that ends gives up its locks one after the other


@contextlib.contextmanager
def _all_locks(files: Files) -> Iterator[locks.Claim | None]:
    start, users = (locks.open_lock(files.at(name)) for name in ("start.lock", "users.lock"))
    claim = None
    try:
        claim = starting.claim(files) if locks.try_lock(start) and locks.try_lock(users) else None
        yield claim
    finally:
        if claim is not None:
            claim.close()
        for fd in (start, users):
            locks.close_lock(fd)
