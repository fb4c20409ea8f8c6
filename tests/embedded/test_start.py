"""Finding a server, or starting it with its guardian: what is found out before, and what it costs after a crash."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from hotqueue.embedded import journal, start
from hotqueue.embedded.binaries import Server
from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import (
    Refusal,
    Users,
    guardian_of,
    kill_guardian,
    kill_server,
    nothing_left,
    servers_of,
)
from tests.support.processes import is_gone
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


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


def test_ten_processes_open_one_new_file_at_once(path: Path, users: Users) -> None:
    crowd = [users(path) for _ in range(10)]
    for user in crowd:
        user.tell("put", *range(20))
    for user in crowd:
        assert user._answer().isdigit()
    assert len({user.do("pid") for user in crowd}) == 1
    assert {user.do("len") for user in crowd} == {"200"}
    for user in crowd:
        user.leave()
    nothing_left(path.parent)
    assert users(path).do("len") == "200"


def test_threads_share_one_start(path: Path) -> None:
    made = [EmbeddedServer(path) for _ in range(8)]
    sockets: list[str] = []
    threads = [threading.Thread(target=lambda one=one: sockets.append(one.ensure())) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sockets) == 8
    assert len(servers_of(path.parent)) == 2  # the server and its guardian
    for one in made:
        one.close()
    nothing_left(path.parent)


def test_a_long_journal_is_rewritten_at_a_start(path: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is killed again and again would take longer to load each time."""
    monkeypatch.setattr(start, "LONG_JOURNAL", 100_000)
    socket, files = server.ensure(), Files.of(str(path))
    for _ in range(30):
        ask(socket, b"SET", b"k", b"x" * 10_000)
    size = journal.journal_size(files)
    assert size > 300_000
    kill_server(socket)
    server.ensure(after_error=True)
    wait_until(lambda: journal.journal_size(files) < 50_000)
    assert ask(socket, b"STRLEN", b"k") == b"10000"


def test_the_next_user_adopts_a_server_without_guardian(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    pid, guardian = user.do("pid"), kill_guardian(path.parent)
    user.kill()
    assert not is_gone(int(pid))  # the documented harm: nobody was there to stop it
    other = users(path, "put", "b")
    assert other.do("pid") == pid
    assert guardian_of(path.parent) != guardian
    other.kill()
    nothing_left(path.parent)
    assert users(path).do("len") == "2"


def test_an_adopted_server_that_dies_is_started_again(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    kill_guardian(path.parent)
    user.do("again")
    kill_server(user.do("open"))
    user.do("again")
    assert user.do("len") == "1"


def test_a_private_server_that_lost_its_guardian_is_swept_away(users: Users, private_folder: Path, short_folder: Path) -> None:
    user = users(":memory:", "put", "a")
    pid = int(user.do("pid"))
    kill_guardian(short_folder)
    user.kill()
    assert not is_gone(pid)
    made = EmbeddedServer(":memory:")
    made.ensure()
    wait_until(lambda: is_gone(pid))
    assert len(list(private_folder.iterdir())) == 1
    made.close()
