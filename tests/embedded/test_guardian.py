"""The server's parent: when it stops it, what reaches it, and that it needs nothing of hotqueue."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hotqueue.embedded import guardian
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import (
    Users,
    guardian_of,
    nothing_left,
)
from tests.support.processes import is_gone

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


def test_a_killed_user_leaves_nothing_running(path: Path, users: Users) -> None:
    user = users(path, "put", "x")
    user.kill()
    nothing_left(path.parent)
    assert users(path).do("len") == "1"


def test_the_file_the_user_named_is_written_at_the_end(path: Path, server: EmbeddedServer) -> None:
    ask(server.ensure(), b"RPUSH", b"q", b"x")
    server.close()
    assert path.read_bytes().startswith((b"REDIS", b"VALKEY"))


def test_ctrl_c_reaches_the_users_only(path: Path, users: Users) -> None:
    interrupted = users(path, "put", "a", start_new_session=True)
    other = users(path, "put", "b")
    pid = other.do("pid")
    os.killpg(interrupted.process.pid, signal.SIGINT)
    interrupted.process.communicate(timeout=30)
    assert other.do("pid") == pid
    other.leave()
    nothing_left(path.parent)


def test_the_guardian_shrugs_off_terminate(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    guardian = guardian_of(path.parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guardian, number)
    assert os.readlink(f"/proc/{guardian}/cwd") == "/"
    user.kill()
    nothing_left(path.parent)


def test_what_a_user_ignores_is_not_handed_on(path: Path, users: Users) -> None:
    """Ignoring SIGCHLD and blocking SIGTERM are inherited; the guardian could not wait, the server not be stopped."""

    def deaf() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    user = users(path, "put", "a", preexec_fn=deaf)
    os.kill(int(user.do("pid")), signal.SIGTERM)
    nothing_left(path.parent)
    user.do("again")
    assert user.do("len") == "1"


def test_users_of_a_deleted_run_folder_meet_again(path: Path, users: Users) -> None:
    """A cleaner of old files takes the folder: the old server makes room, with all it had, before a new one starts."""
    old = users(path, "put", "a", "b")
    first = int(old.do("pid"))
    for entry in path.with_name("db.rdb.hotqueue").iterdir():
        entry.unlink()
    path.with_name("db.rdb.hotqueue").rmdir()
    new = users(path, "put", "c")
    assert new.do("len") == "3"
    assert is_gone(first)
    assert old.do("again") == new.do("open")
    new.kill()
    assert old.do("put", "d") == "4"


def test_it_needs_nothing_of_hotqueue(tmp_path: Path) -> None:
    """Every first user waits for it to start, as `python -I -S`: there is no hotqueue to be found then."""
    copy = tmp_path / "guardian.py"
    shutil.copyfile(guardian.__file__, copy)
    code = f"import runpy, sys; runpy.run_path({str(copy)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"hotqueue", "signal", "subprocess", "socket", "threading"}


def test_a_mark_tells_one_content_from_another(path: Path) -> None:
    path.write_bytes(b"REDIS0009 one, its checksum")
    mark = guardian.mark_of(str(path))
    assert mark == guardian.mark_of(os.fsencode(path))
    path.write_bytes(b"REDIS0009 two, its checksun")
    assert guardian.mark_of(str(path)) != mark
