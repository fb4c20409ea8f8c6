"""What went wrong: the server's log, and the one sentence that tells its user what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from hotqueue.embedded.files import WAY_OUT, Files, size
from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.hints import shell_command
from hotqueue.plurals import plural
from hotqueue.runtime import descriptors

LEAST_TO_START = 64 * 1024  # bytes free on the disk
ENOUGH_TO_START = 1024 * 1024  # bytes free, after a server has died of a full disk


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
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return descriptors.above_standard(os.open(files.at("redis.log"), flags, 0o600))


def rotate_log(files: Files) -> None:
    if log_size(files) > 1024 * 1024:
        os.replace(files.at("redis.log"), files.at("redis.log.old"))


_WRONG = r"rror|atal|fail|annot|an't|Bad|ermission|No space|abort|hort read"
_ADVICE = r"overcommit|Transparent Huge Pages|TCP backlog"  # on the machine's settings, at each start; it can be left as it is


def last_complaint(log: str) -> str:
    """The last line that says something is wrong, without its stamp."""
    if "FATAL CONFIG FILE ERROR" in log:  # the cause comes in the lines after it
        return " ".join(log.rpartition("FATAL CONFIG FILE ERROR")[2].split("\n")[1:]).strip()
    wrong = [line for line in log.splitlines() if re.search(_WRONG, line) and not re.search(_ADVICE, line)]
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
        repair = shell_command("hotqueue", "embedded", "repair", label)
        return ConfigError(
            f"the data of {label} is damaged and the server will not read it: `{repair}` keeps a backup and saves what "
            f"comes before the damage {where}"
        )
    return ConnectionFailed(f"the embedded server of {label} did not start: {last_complaint(log) or 'no reason given'} {where}")


def disk_full(files: Files) -> ConnectionFailed:
    return ConnectionFailed(
        f"disk full on {files.folder} ({plural(_free_bytes(files), 'byte')} free): the embedded server of {files.label} "
        "cannot write; free some space, nothing that was acknowledged is lost"
    )


def cannot_use(files: Files, error: OSError) -> HotQueueError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(files)
    if shortage := descriptors.shortage(error):
        return ConnectionFailed(f"the embedded server of {files.label} cannot be reached: {shortage}", sent=False)
    return ConfigError(f"cannot use {files.label} as an embedded database ({error}): choose another place, {WAY_OUT}")


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn what the system refuses into a sentence about the database."""
    try:
        yield
    except OSError as error:
        if isinstance(error, HotQueueError):
            raise
        raise cannot_use(Files.of(path), error) from error


def refuse_full_disk(files: Files) -> None:
    """A server that died of a full disk would die again at its first write: say so instead of starting it over and over."""
    free = _free_bytes(files)
    died_full = "No space left on device" in read_log(files)[-4096:]  # if there was room to log it
    if free < LEAST_TO_START or (died_full and free < ENOUGH_TO_START):
        raise disk_full(files)


def _free_bytes(files: Files) -> int:
    disk = os.statvfs(files.folder)
    return disk.f_bavail * disk.f_frsize
