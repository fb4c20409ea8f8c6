"""What a process holds of a server: shared by its objects, its threads and its forked children, and given up at its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError
from tests.support.embedded_users import (
    Users,
    nothing_left,
    server_pid,
)
from tests.support.processes import is_gone
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


def test_who_leaves_does_not_take_the_server_along(path: Path, users: Users) -> None:
    first, second = users(path, "put", "a"), users(path, "put", "b")
    pid = second.do("pid")
    first.leave()  # its pipes reach their end, although server and guardian, its offspring, live on
    assert second.do("len") == "2"
    third = users(path, "put", "c")
    second.do("close")
    assert third.do("pid") == pid
    assert third.do("len") == "3"


def test_closing_one_of_two_objects_keeps_the_server(path: Path, server: EmbeddedServer) -> None:
    other = EmbeddedServer(path)
    assert other.ensure() == server.ensure()
    other.close()
    other.close()
    assert ask(server.ensure(), b"PING") == b"PONG"
    assert ask(other.ensure(), b"PING") == b"PONG"
    other.close()


@pytest.mark.parametrize("way", ["exit", "_exit"])
def test_a_forked_child_that_ends_stops_nothing(path: Path, users: Users, way: str) -> None:
    user = users(path, "put", "a")
    pid = user.do("pid")
    user.do("fork", way)
    assert user.do("pid") == pid


def test_a_forked_child_keeps_the_server_after_its_parent(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    pid, child = int(user.do("pid")), int(user.do("fork"))
    user.kill()
    assert users(path, "len").do("pid") == str(pid)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: is_gone(child))


def test_a_program_started_by_a_user_does_not_hold_the_database(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    sleeper = int(user.do("sleeper"))
    user.kill()
    try:
        nothing_left(path.parent)
        assert not is_gone(sleeper)
    finally:
        os.kill(sleeper, signal.SIGKILL)


def test_durability_can_be_raised_and_is_not_lowered(path: Path, server: EmbeddedServer) -> None:
    def durability() -> bytes:
        return ask(server.ensure(), b"CONFIG", b"GET", b"appendfsync").split(b"\n")[1]

    assert durability() == b"everysec"
    strict = EmbeddedServer(path, durability="always")
    strict.ensure()
    assert durability() == b"always"
    weaker = EmbeddedServer(path)
    weaker.ensure()
    weaker.close()
    os.kill(server_pid(server.ensure()), signal.SIGKILL)
    server.ensure(after_error=True)
    assert durability() == b"always"
    with pytest.raises(ConfigError, match="everysec"):
        EmbeddedServer(path, durability="never")
    strict.close()
