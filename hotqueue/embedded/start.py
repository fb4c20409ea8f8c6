"""Finding the server of a database, or starting it with its guardian.

Called by `hold` on behalf of a process that already shares users.lock, so that nobody stops the server meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import time
from typing import Any

from hotqueue.embedded import binaries, journal, locks
from hotqueue.embedded import guardian as guardian_program
from hotqueue.embedded import log as server_log
from hotqueue.embedded.files import Files, configuration, read_record, write, write_record
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.locks import Claim
from hotqueue.embedded.waiting import Patience, probe
from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.plurals import plural

log = logging.getLogger("hotqueue.embedded")

LONG_JOURNAL = 32 * 1024 * 1024  # bytes, which take about a second to load
LEFTOVERS = 3600.0 + 60.0  # seconds: where all that is left goes by itself within them, it is the results of ended tasks


def attach(files: Files, durability: str) -> None:
    """Return when the server answers: found, or started."""
    patience = Patience(files)
    while (state := probe(files.socket)) != "up":
        if state == "absent":
            state = _try_start(files, durability, patience)
        if state == "up":
            break
        patience.wait(state)
    if durability == "always" and (reply := ask(files.socket, b"CONFIG", b"SET", b"appendfsync", b"always")) != b"OK":
        raise ConnectionFailed(f"the embedded server of {files.label} refused durability='always': {reply.decode()}")
    _adopt(files)


def _try_start(files: Files, durability: str, patience: Patience) -> str:
    """Start the server if it is this process's turn; return how things stand: "up", "busy" or "taken"."""
    turn = locks.open_lock(files.at("start.lock"))
    try:
        if not locks.try_lock(turn) or not locks.same_file(turn, files.at("start.lock")):
            return "busy"
        if probe(files.socket) == "up":
            return "up"
        mine = claim(files)
        if mine is None:
            return "taken"
        start(files, durability, mine, patience)
        return "up"
    finally:
        locks.close_lock(turn)


def claim(files: Files) -> Claim | None:
    """Take what only one server can have; None: a server has it."""
    server = locks.open_lock(files.at("server.lock"))
    name = None
    try:
        if locks.try_lock(server):
            name = locks.bind_name(files.name) if files.database else -1
    finally:
        if name is None:
            locks.close_lock(server)
    return None if name is None else Claim(server, name)


def start(files: Files, durability: str, mine: Claim, patience: Patience, server: binaries.Server | None = None) -> None:
    """Start the server with its guardian and wait until it answers. Called with start.lock held; closes the claim."""
    record = read_record(files)
    imported, aside = False, ""
    try:
        server_log.refuse_full_disk(files)
        if not files.database:
            _sweep_private(os.path.dirname(files.run))
        server = server or _choose_or_take_over(files, record)
        aside = journal.set_aside(files) if files.database else ""
        write(files.at("redis.conf"), configuration(files, durability, folders=server.folders))
        write_record(files, binaries.to_record(server))
        imported = journal.prepare_journal(files, folders=server.folders)
        server_log.rotate_log(files)
        before, said = journal.journal_size(files), server_log.log_size(files)
        spawn_guardian(files, mine, server.binary)
    finally:
        mine.close()
    if not _comes_up(files, patience):
        if imported:
            journal.drop_journal(files)  # so that it does not hide a database put in the place of this one
            write_record(files, record)
        if aside:
            journal.restore(files, aside)
            write(files.at("saved"), b"another")
        raise server_log.why_it_died(files, server_log.read_log(files, said), imported)
    if aside:
        log.warning("%s: another program has written this file, which counts now; what was there is in %s", files.label, aside)
    _tell_started(files, server, imported, before, server_log.read_log(files, said))
    if before > LONG_JOURNAL:  # the server by itself waits until it has doubled since this start: often started, it never would
        with contextlib.suppress(OSError):  # it is up, whatever it says to this
            ask(files.socket, b"BGREWRITEAOF")


def _comes_up(files: Files, patience: Patience) -> bool:
    while (state := probe(files.socket)) != "up":
        if state == "absent" and locks.is_free(files.at("server.lock")):
            return False
        patience.wait(state if state == "loading" else "starting")
    return True


def _choose_or_take_over(files: Files, record: dict[str, Any]) -> binaries.Server:
    """What is empty, or will be before long, is any server's: which one this Python brings must not matter then."""
    try:
        return choose(files, record)
    except ConfigError:
        left = journal.empty_at(files) - time.time()
        if left > LEFTOVERS:
            raise
    written = written_by(files, record)
    if left > 0 and (newer := binaries.reader(written)) is not None:
        log.info("%s: nothing waits in it, and it goes from %s to %s, with its last results", files.label, written, newer)
        return newer
    server = binaries.choose(None, files.label)
    if left > 0:
        folder = journal.back_up(files)
        text = "%s: nothing waits in it, and it goes from %s to %s, which cannot read its last results; they are in %s"
        log.warning(text, files.label, written, server, folder)
    else:
        log.info("%s: it was empty, and goes from %s to %s", files.label, written, server)
    journal.start_over(files)
    return server


def choose(files: Files, record: dict[str, Any]) -> binaries.Server:
    if not files.database and (named := binaries.named(record)) is not None:
        return named  # a private server stays with its program: what it begins with may be a copy that no other reads
    written = written_by(files, record)
    if written is None and (signed := journal.signature_of(files.database)) is not None:
        return binaries.choose_reader(binaries.Server(*signed), files.label)  # saved by a program that is not ours
    return binaries.choose(written, files.label, record)


def written_by(files: Files, record: dict[str, Any]) -> binaries.Server | None:
    """Who wrote the database: what server.json says, else what the journal itself tells."""
    if not journal.has_data(files):
        return None
    written = binaries.from_record(record)
    if written is None and (signed := journal.signature(files)) is not None:
        return binaries.Server(*signed)
    if written is None and journal.has_journal(files):
        return binaries.Server("redis", (7, 0) if os.path.exists(files.manifest) else (6, 2))
    return written


def _tell_started(files: Files, server: binaries.Server, imported: bool, before: int, said: str) -> None:
    log.info("%s: started %s%s", files.label, server, ", its data read from the file" if imported else "")
    if server_log.cut_off(said):
        lost = plural(before - journal.journal_size(files), "byte of the journal was", "bytes of the journal were")
        log.warning("%s: the last %s incomplete (a power cut?) and dropped", files.label, lost)


def _adopt(files: Files) -> None:
    """Give a server whose guardian was killed a new one."""
    guardian = files.at("guardian.lock")
    if not locks.is_free(guardian):
        return
    runs = Claim(locks.open_lock(files.at("server.lock")), -1)
    try:
        spawn_guardian(files, runs, "")
    finally:
        runs.close()


def _sweep_private(root: str) -> None:
    """End the private servers that were left without guardian and without users, and remove their folders."""
    for name in os.listdir(root):
        left = Files.private(os.path.join(root, name))
        try:
            users = locks.open_lock(left.at("users.lock"), create=False)
        except OSError:  # not one of ours, or not yet
            continue
        try:
            if locks.try_lock(users) and locks.is_free(left.at("guardian.lock")):
                _end(left)
        finally:
            locks.close_lock(users)


def _end(left: Files) -> None:
    try:
        ask(left.socket, b"SHUTDOWN", b"NOSAVE")
    except OSError:
        pass  # the connection fell, or there was none
    guardian_program.remove_private(os.fsencode(left.run))


def spawn_guardian(files: Files, mine: Claim, binary: str) -> None:
    """Start the guardian, with a server (`binary`) or for one that runs; it gets descriptors, so that names do not matter."""
    opened: list[int] = []
    try:
        for name in ("start.lock", "users.lock", "guardian.lock"):
            opened.append(locks.open_lock(files.at(name)))  # noqa: PERF401  (closed when the next one cannot be opened)
        start, users, guardian = opened
        _take_from_predecessor(guardian)
        fds = (start, users, mine.server, guardian, mine.name)
        kept = "" if not files.database else files.manifest if os.path.exists(files.manifest) else files.journal
        arguments = [files.run, files.socket, kept, binary, files.at("redis.conf"), *map(str, fds)]
        with os.fdopen(server_log.open_log(files), "ab") as errors, locks.no_fork():
            process = subprocess.Popen(
                [_python(), "-I", "-S", guardian_program.__file__, *map(os.fsencode, arguments)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                pass_fds=[fd for fd in fds if fd >= 0], start_new_session=True,
            )  # fmt: skip
        process.wait()  # the guardian goes on as nobody's child
    finally:
        for fd in opened:
            locks.close_lock(fd)


def _take_from_predecessor(guardian: int) -> None:
    """Lock guardian.lock; the guardian of a server that has just died lets it go in a moment."""
    for _ in range(1000):
        if locks.try_lock(guardian):
            return
        time.sleep(0.002)


def _python() -> str:
    """The interpreter for the guardian; a program that embeds Python (uwsgi, a frozen one) is none."""
    for candidate in (sys.executable, getattr(sys, "_base_executable", None)):
        if candidate and os.path.basename(candidate).startswith(("python", "pypy")):
            return candidate
    found = shutil.which("python3")
    if found is None:
        raise ConfigError(
            f"the embedded server needs a Python interpreter, and {sys.executable or 'this program'} is none: "
            f"put python3 on the PATH, or name a Redis server with url="
        )
    return found
