"""Waiting for a server: how it is, how long to go on waiting, and what to say meanwhile and at the end."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator

from hotqueue.embedded import locks
from hotqueue.embedded.files import Files, read_owner
from hotqueue.embedded.guardian import ask
from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.runtime import descriptors

log = logging.getLogger("hotqueue.embedded")

SILENCE = 10.0  # seconds that a server may be alive without answering
LOADING = 600.0  # seconds that it may take to read its data, or another process to start it
TELLING = 5.0  # seconds between two lines in the log while waiting
LOOKS = 3  # how often in a row a database must be seen in use until it is


def probe(address: str) -> str:
    """Tell how the server is: "up", "loading", "silent" or "absent" (nobody listens)."""
    try:
        reply = ask(address, b"PING", timeout=2.0)
    except (TimeoutError, BlockingIOError):
        return "silent"
    except PermissionError as error:
        raise ConfigError(f"no right to connect to {address}: {error.strerror}") from error
    except OSError as error:
        if descriptors.shortage(error):
            raise
        return "absent"
    return "loading" if reply.startswith(b"-LOADING") else "up"  # any other complaint comes from a server that is alive


class Patience:
    """How long to go on waiting for a server, and what to say in the meantime and at the end."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.began = self.logged = self.answered_at = time.monotonic()
        self.pause = 0.0005
        self.poked = False

    def wait(self, state: str) -> None:
        """Wait a moment in this state: "loading", "busy" (another process starts it), "stopping", "silent", "taken"."""
        now = time.monotonic()
        if state in ("loading", "busy"):
            self.answered_at = now
        if now - self.answered_at > SILENCE or now - self.began > LOADING:
            raise self._lost(state, now - self.answered_at)
        if state == "taken" and not self.poked and now - self.answered_at > 0.25:
            self.poked = True
            locks.poke_name(self.files.name)
        if now - self.logged > TELLING:
            self.logged = now
            log.warning("%s: waiting for its embedded server (%s)", self.files.label, self._progress(state))
        time.sleep(self.pause)
        self.pause = min(self.pause * 1.2, 0.05)

    def _progress(self, state: str) -> str:
        if state == "busy":
            return "another process is starting it"
        if state != "loading":
            return state
        try:
            info = ask(self.files.socket, b"INFO", b"persistence")
        except OSError:
            return "it reads its data"
        return f"it reads its data, {info.partition(b'loading_loaded_perc:')[2].split(b'.')[0].decode() or '?'} %"

    def _lost(self, state: str, silent: float) -> ConnectionFailed:
        pid, host = read_owner(self.files)
        here = os.uname().nodename
        who = f"process {pid} on {host}" if pid else "process unknown"
        if host and host != here:
            advice = f"this is {here}: a database file serves one machine, name a Redis server with url= to share it"
        elif state == "loading":
            return ConnectionFailed(
                f"the embedded server of {self.files.label} ({who}) is still reading its data after {LOADING:.0f} s"
            )
        else:
            advice = f"look at that process and at {self.files.at('redis.log')}; end it if it hangs, the data is on disk"
        return ConnectionFailed(
            f"the embedded server of {self.files.label} ({who}) is alive but has not answered for {silent:.0f} s: {advice}"
        )


@contextlib.contextmanager
def awaiting_stop(files: Files, seconds: float) -> Iterator[None]:
    """Let go of a server in the body; return when the guardian has ended, or others go on: the caller may then remove the files.

    Whether it has is looked up before the body: a guardian removes its lock, and then is still busy with the rest of the folder.
    Raises nothing: closing must not fail, and whoever cannot look (any more) has nothing to wait for.
    """
    guardian = -1
    with contextlib.suppress(OSError):
        guardian = locks.open_lock(files.at("guardian.lock"), create=False)
    try:
        yield
        if guardian >= 0:
            with contextlib.suppress(OSError):
                _await_lock(guardian, files, time.monotonic() + seconds)
    finally:
        if guardian >= 0:
            locks.close_lock(guardian)


def await_stop(files: Files, seconds: float) -> None:
    """Do as `awaiting_stop` for one that was let go before."""
    with awaiting_stop(files, seconds):
        pass


def is_in_use(files: Files) -> bool:
    """Tell whether somebody uses the database: once may be its guardian, between two looks; `LOOKS` in a row are a user."""
    users = files.at("users.lock")
    return not locks.is_free(users) and locks.is_free(users, shared=True)


def _await_lock(guardian: int, files: Files, deadline: float) -> None:
    in_use = 0
    while time.monotonic() < deadline and not locks.try_lock(guardian) and in_use < LOOKS:
        in_use = in_use + 1 if is_in_use(files) else 0
        time.sleep(0.001)
