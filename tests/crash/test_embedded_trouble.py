"""Full disks, long loading and hangs of the embedded server, as they happen."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue import embedded
from hotqueue.embedded import binaries, locks, waiting
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConnectionFailed
from tests.support.embedded_users import Users, guardian_of, nothing_left, server_pid, servers_of, users
from tests.support.needs import lacking
from tests.support.processes import is_gone, run_python
from tests.support.waiting import wait_until

__all__ = ["users"]  # a fixture
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        raise lacking("the right to mount a file system")
    yield disk
    try:
        wait_until(lambda: not servers_of(disk))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(socket: str) -> tuple[int, str]:
    """Put until the server refuses or falls; return how many it acknowledged, and what it said."""
    count = 0
    while True:
        try:
            reply = ask(socket, b"RPUSH", b"q", b"x" * 10_000)
        except OSError as error:
            return count, repr(error)
        if not reply.isdigit():
            return count, reply.decode()
        count += 1


def test_a_full_disk_refuses_and_heals(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotqueue.embedded.hold.STOPPING", 0.3)
    server = EmbeddedServer(small_disk / "db.rdb")
    count, said = fill(server.ensure())
    assert "MISCONF" in said
    assert embedded.status(server.path)["disk_ok"] is False
    server.ensure(after_error=True)
    server.close()  # the last user goes: the server stays until it has been able to write
    pid = embedded.status(server.path)["pid"]
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    wait_until(lambda: is_gone(pid))
    server = EmbeddedServer(small_disk / "db.rdb")
    assert ask(server.ensure(), b"LLEN", b"q") == b"%d" % count
    server.close()


def test_a_full_disk_under_always_is_named_until_it_heals(small_disk: Path) -> None:
    server = EmbeddedServer(small_disk / "db.rdb", durability="always")
    count, _ = fill(server.ensure())
    for _ in range(2):
        with pytest.raises(ConnectionFailed, match=rf"disk full on {small_disk} .*free some space"):
            server.ensure(after_error=True)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert ask(server.ensure(after_error=True), b"LLEN", b"q") == b"%d" % count
    server.close()


def test_a_start_on_a_full_disk_says_so(small_disk: Path) -> None:
    ballast = os.open(small_disk / "ballast", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(ballast, b"x" * 4096)
    os.close(ballast)
    server = EmbeddedServer(small_disk / "db.rdb")
    with pytest.raises(ConnectionFailed, match="disk full"):
        server.ensure()
    (small_disk / "ballast").unlink()
    assert ask(server.ensure(), b"PING") == b"PONG"
    server.close()


def test_loading_is_waited_for_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Three thousand keys at half a millisecond each; a second opener waits as well."""
    real = next(binaries.paths())
    server = EmbeddedServer(tmp_path / "db.rdb")
    for number in range(3000):
        ask(server.ensure(), b"SET", b"k%d" % number, b"x")
    server.close()
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\n[ "$1" = -v ] && exec {real} -v\nexec {real} "$@" --key-load-delay 500\n')
    slow.chmod(0o755)
    monkeypatch.setenv("HOTQUEUE_SERVER", str(slow))
    monkeypatch.setattr(waiting, "SILENCE", 0.5)
    monkeypatch.setattr(waiting, "TELLING", 0.2)
    other = EmbeddedServer(tmp_path / "alias" / ".." / "db.rdb")
    second = threading.Thread(target=other.ensure)
    with caplog.at_level(logging.WARNING, logger="hotqueue.embedded"):
        second.start()
        assert ask(server.ensure(), b"DBSIZE") == b"3000"
        second.join()
    assert "it reads its data, " in caplog.text
    server.close()
    other.close()
    nothing_left(tmp_path)


def test_a_start_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "hanging"
    hanging.write_text("#!/bin/sh\n[ \"$1\" = -v ] && echo 'Redis server v=6.2.14 sha=0' && exit\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("HOTQUEUE_SERVER", str(hanging))
    monkeypatch.setattr(waiting, "SILENCE", 0.3)
    server = EmbeddedServer(tmp_path / "db.rdb")
    with pytest.raises(ConnectionFailed, match="has not answered"):
        server.ensure()
    nothing_left(tmp_path)  # nobody uses it: its guardian ends it


def test_a_server_that_hangs_when_its_last_user_goes(tmp_path: Path, users: Users) -> None:
    """Its guardian waits, whoever comes waits, and nobody starts a second one."""
    user = users(tmp_path / "db.rdb", "put", "a")
    pid = int(user.do("pid"))
    os.kill(pid, signal.SIGSTOP)
    try:
        user.kill()
        lock = str(tmp_path / "db.rdb.hotqueue" / "users.lock")
        wait_until(lambda: not locks.is_free(lock, shared=True))  # its guardian is about to stop it
        late = users(tmp_path / "db.rdb")
        late.tell("len")
        assert set(servers_of(tmp_path)) == {pid, guardian_of(tmp_path)}
    finally:
        os.kill(pid, signal.SIGCONT)
    assert late._answer() == "1"
    assert late.do("pid") != str(pid)


def test_a_user_killed_in_the_middle_of_a_start(tmp_path: Path, users: Users) -> None:
    """Whatever the moment: the next one finds the server, or the way free."""
    for moment in range(12):
        user = users(tmp_path / "db.rdb")
        user.tell("put", "x")
        if moment % 2:
            wait_until(lambda: servers_of(tmp_path))
        user.kill()
        assert users(tmp_path / "db.rdb").do("put", moment).isdigit()
    server = EmbeddedServer(tmp_path / "db.rdb")
    assert set(map(str, range(12))) <= set(ask(server.ensure(), b"LRANGE", b"q", b"0", b"-1").decode().split("\n"))
    assert server_pid(server.ensure())
    server.close()


def test_a_script_without_end_does_not_keep_the_server(tmp_path: Path, users: Users) -> None:
    user = users(tmp_path / "db.rdb", "put", "a")
    socket = user.do("open")
    ask(socket, b"CONFIG", b"SET", b"lua-time-limit", b"50")
    with pytest.raises(OSError, match="timed out"):
        ask(socket, b"EVAL", b"while true do end", b"0", timeout=0.1)
    user.kill()
    nothing_left(tmp_path)
    assert users(tmp_path / "db.rdb").do("len") == "1"


def test_limits_of_a_user_are_not_the_servers(tmp_path: Path, users: Users) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (2**31, resource.RLIM_INFINITY))

    user = users(tmp_path / "db.rdb", "open", preexec_fn=limit)
    assert user.do("put", *range(1000)) == "1000"
    assert resource.prlimit(int(user.do("pid")), resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


# Sends SIGTERM to a server that is being started, before it can have taken signals; prints how each ended.
STOPPED_AT_BIRTH = r"""
import os, sys
from hotqueue.embedded import guardian

guardian._set_signals(guardian._signal.SIG_IGN)
for _ in range(50):
    server = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
    one = guardian.Guardian(b"", b"", b"", {"server": server, "name": -1})
    one.start_server(b"/bin/sleep", b"20")
    one._terminate()
    print(os.WTERMSIG(os.waitpid(one.child, 0)[1]))
"""


def test_a_server_that_is_stopped_while_it_is_being_started_ends(tmp_path: Path) -> None:
    ended = run_python(STOPPED_AT_BIRTH, tmp_path / "server.lock", timeout=60)
    assert ended.stdout.split() == [str(int(signal.SIGTERM))] * 50, ended.stderr
