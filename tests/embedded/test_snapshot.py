"""Copies of a database: one moment of it, while it is in use, and a file put in a database's place."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hotqueue.embedded import locks, snapshot
from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


def length(path: Path) -> int:
    made = EmbeddedServer(path)
    try:
        return int(ask(made.ensure(), b"LLEN", b"q"))
    finally:
        made.close()


def test_one_moment_of_a_server_in_use_is_a_database(path: Path, server: EmbeddedServer) -> None:
    socket, target = server.ensure(), path.with_name("copy.rdb")
    ask(socket, b"RPUSH", b"q", *[b"x" * 1000] * 5000)
    snapshot.snapshot(socket, str(path), str(target))
    ask(socket, b"RPUSH", b"q", b"later")
    assert not path.exists()  # the file that the user named is not touched
    assert length(target) == 5000
    assert ask(socket, b"LLEN", b"q") == b"5001"


def test_a_file_is_put_in_the_place_of_a_database_only_when_that_may_be_lost(path: Path, server: EmbeddedServer) -> None:
    socket, saved = server.ensure(), path.with_name("saved")
    ask(socket, b"RPUSH", b"q", b"a", b"b")
    snapshot.snapshot(socket, str(path), str(saved))
    with pytest.raises(ConfigError, match="holds a database already: say --replace"):
        snapshot.put(str(saved), str(path), replace=False)
    with pytest.raises(ConfigError, match="is in use"):
        snapshot.put(str(saved), str(path), replace=True)
    ask(socket, b"RPUSH", b"q", b"c")
    server.close()
    snapshot.put(str(saved), str(path), replace=True)
    assert length(path) == 2
    assert not list(path.parent.glob("*.half-*"))


@pytest.mark.parametrize("lock", ["start.lock", "users.lock", "server.lock"])
def test_a_lock_that_an_ending_guardian_has_yet_to_give_up_is_waited_for(path: Path, server: EmbeddedServer, lock: str) -> None:
    ask(server.ensure(), b"RPUSH", b"q", b"a")
    snapshot.snapshot(server.ensure(), str(path), str(saved := path.with_name("saved")))
    server.close()
    held = locks.open_lock(Files.of(str(path)).at(lock))
    assert locks.try_lock(held)
    ending = threading.Timer(0.2, locks.close_lock, [held])
    ending.start()
    snapshot.put(str(saved), str(path), replace=True)
    ending.join()
    assert length(path) == 1


def test_a_place_is_checked_before_anything_is_copied(path: Path) -> None:
    snapshot.check_place(path)
    with pytest.raises(ConfigError, match="no directory"):
        snapshot.check_place(path / "below" / "db.rdb")
