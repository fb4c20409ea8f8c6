"""Copies of a database: one moment of it as a file, and a file put in a database's place.

A moment is what the server would send to a replica: it forks for that and goes on, so that nobody waits. The journal cannot
be copied while it is written, and the file that the user named is only written at a stop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from typing import IO

from hotqueue.embedded import journal, maintenance
from hotqueue.embedded.files import Files, absolute, check, to_disk, write
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.log import explained
from hotqueue.errors import ConfigError, ConnectionFailed

PATIENCE = 120.0  # seconds of silence from the server that are waited out
PIECE = 1 << 20  # bytes


def server_program(address: str) -> str:
    """Return the path of the program that answers at a socket."""
    said = ask(address, b"INFO", b"server")
    return os.fsdecode(said.partition(b"\r\nexecutable:")[2].partition(b"\r\n")[0])


def snapshot(address: str, label: str, target: str) -> None:
    """Write what the server at a socket holds at one moment to a file of the form of its database.

    Raises:
        ConnectionFailed: it went away, or could not fork.
    """
    for setting, value in ((b"repl-diskless-sync", b"yes"), (b"repl-diskless-sync-delay", b"0")):
        ask(address, b"CONFIG", b"SET", setting, value)  # else it would write the file that the user named
    try:
        with open(target, "wb") as file, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(PATIENCE)
            link.connect(address)
            with link.makefile("rb") as sent:
                link.sendall(b"REPLCONF capa eof\r\n")  # what it sends next may have no length, but an end
                sent.readline()
                link.sendall(b"SYNC\r\n")
                _receive(sent, file)
    except (OSError, ValueError) as error:
        raise ConnectionFailed(f"the embedded server of {label} could not be copied: {error}") from error


def _receive(sent: IO[bytes], file: IO[bytes]) -> None:
    while (line := sent.readline()) == b"\n":
        pass  # it has not forked yet
    if not line.startswith(b"$"):
        raise OSError(line.decode("utf-8", "replace").strip() or "the server closed the connection")
    if not line.startswith(b"$EOF:"):
        return _receive_counted(sent, file, int(line[1:]))
    end = line[5:].strip()  # 40 random bytes, which come once more when all is said
    kept = b""
    while not kept.endswith(end):
        piece = sent.read1(PIECE)  # type: ignore[attr-defined]  # makefile("rb") is a BufferedReader
        if not piece:
            raise OSError("the server ended in the middle of it")
        kept += piece
        if not kept.endswith(end):
            file.write(kept[: -len(end)])
            kept = kept[-len(end) :]
    file.write(kept[: -len(end)])
    return None


def _receive_counted(sent: IO[bytes], file: IO[bytes], left: int) -> None:
    while left:
        piece = sent.read(min(left, PIECE))
        if not piece:
            raise OSError("the server ended in the middle of it")
        file.write(piece)
        left -= len(piece)


def save(address: str, label: str) -> None:
    """Have a private server write its folder's dump.rdb."""
    if (reply := ask(address, b"SAVE", timeout=None)) != b"OK":
        raise ConnectionFailed(f"{label} could not be saved: {reply.decode('utf-8', 'replace')}")


def check_place(path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Refuse a place where no copy can be put.

    Args:
        replace: data that is there may be lost.

    Raises:
        ConfigError: there is data, somebody uses it, or it is no place for a database.
    """
    found = absolute(path)
    with explained(found):
        _check_place(found, replace)


def _check_place(path: str, replace: bool) -> None:
    files = Files.of(path)
    check(files)
    if journal.has_data(files) and not replace:
        raise ConfigError(f"{path} holds a database already: say --replace to lose what is in it, or name another file")
    if os.path.exists(files.run):
        with maintenance.alone(files):
            pass  # nobody uses it


def put(saved: str, path: str, replace: bool) -> None:
    """Make a saved file the database `path`, whole or not at all; nobody may use that at the moment.

    Raises:
        ConfigError: as `check_place`.
    """
    _check_place(path, replace)
    files = Files.of(path)
    fd, half = tempfile.mkstemp(prefix=f"{os.path.basename(path)}.half-", dir=files.folder)
    try:
        with os.fdopen(fd, "wb") as target, open(saved, "rb") as source:
            shutil.copyfileobj(source, target, PIECE)
            target.flush()
            os.fsync(target.fileno())
        with maintenance.alone(files) if os.path.exists(files.run) else contextlib.nullcontext():
            _rename(half, files)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(half)
        raise


def _rename(half: str, files: Files) -> None:
    """Put the new file in place. From before that, whatever file is there counts more than the journal."""
    if os.path.exists(files.run):
        write(files.at("saved"), b"another")
    os.rename(half, files.database)
    to_disk(files.folder)
    journal.drop_journal(files)
    for name in ("server.json", "saved"):  # what they say is of the old one
        with contextlib.suppress(FileNotFoundError):
            os.unlink(files.at(name))
