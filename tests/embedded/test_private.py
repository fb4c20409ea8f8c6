""" ":memory:": a server that is private to a process and its children, and leaves nothing."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import Users, kill_guardian, nothing_left, private_folder, server_pid, short_folder, users
from tests.support.processes import is_gone, run_python
from tests.support.waiting import wait_until

__all__ = ["private_folder", "short_folder", "users"]  # fixtures
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


@pytest.fixture
def server(private_folder: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(":memory:")
    yield made
    made.close()
    nothing_left(private_folder)
    assert not private_folder.exists()


def put(server: EmbeddedServer) -> None:
    ask(server.ensure(), b"RPUSH", b"q", b"x")


def length(server: EmbeddedServer) -> int:
    return int(ask(server.ensure(), b"LLEN", b"q"))


def test_nothing_is_written_and_the_folder_goes(server: EmbeddedServer, private_folder: Path) -> None:
    put(server)
    assert (server.path, length(server)) == (":memory:", 1)
    assert not list(private_folder.rglob("*.aof*"))
    server.close()
    assert not private_folder.exists()
    assert length(server) == 0


def test_objects_of_one_process_share_it(server: EmbeddedServer) -> None:
    put(server)
    other = EmbeddedServer(":memory:")
    assert length(other) == 1
    other.close()
    assert length(server) == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_share_it(server: EmbeddedServer, method: str) -> None:
    """Even a child that puts before its parent has done anything, and is gone before the parent gets."""
    context = multiprocessing.get_context(method)
    for _ in range(2):
        child = context.Process(target=put, args=(server,))
        child.start()
        child.join()
        assert child.exitcode == 0
    assert length(server) == 2


def test_it_lives_as_long_as_a_child(server: EmbeddedServer, private_folder: Path) -> None:
    put(server)
    child = os.fork()
    if not child:
        signal.pause()
    server.close()
    assert private_folder.exists()
    assert length(server) == 1
    server.close()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_until(lambda: not private_folder.exists())


def test_a_copy_of_a_server_that_is_gone_says_so(server: EmbeddedServer, private_folder: Path) -> None:
    copy = pickle.dumps(server)
    server.close()
    code = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1])).ensure()"
    done = run_python(code, copy.hex(), check=False)
    assert "ConnectionFailed: the private server of" in done.stderr
    assert "is gone" in done.stderr


def test_a_crash_loses_the_data_but_not_the_place(server: EmbeddedServer, private_folder: Path) -> None:
    put(server)
    for _ in range(2):
        os.kill(server_pid(server.ensure()), signal.SIGKILL)
        server.ensure(after_error=True)
    assert length(server) == 0


def test_processes_have_servers_of_their_own(users: Users, private_folder: Path) -> None:
    first, second = users(":memory:", "put", "a"), users(":memory:", "put", "b", "c")
    assert (first.do("len"), second.do("len")) == ("1", "2")
    first.kill()
    assert second.do("len") == "2"
    second.leave()
    wait_until(lambda: not private_folder.exists())


def test_a_killed_server_and_a_killed_user_leave_nothing(users: Users, private_folder: Path) -> None:
    user = users(":memory:", "put", "a")
    os.kill(int(user.do("pid")), signal.SIGKILL)
    user.kill()
    wait_until(lambda: not private_folder.exists())


def test_a_copy_in_the_same_process_is_one_more_object(server: EmbeddedServer) -> None:
    copy = pickle.loads(pickle.dumps(server))
    put(copy)
    assert length(server) == 1
    server.close()
    assert length(copy) == 1
    copy.close()
    assert length(copy) == 0
    copy.close()


def test_a_server_that_lost_its_guardian_is_swept_away(
    server: EmbeddedServer, users: Users, private_folder: Path, short_folder: Path
) -> None:
    user = users(":memory:", "put", "a")
    pid = int(user.do("pid"))
    kill_guardian(short_folder)
    user.kill()
    assert not is_gone(pid)
    put(server)
    wait_until(lambda: is_gone(pid))
    assert len(list(private_folder.iterdir())) == 1
