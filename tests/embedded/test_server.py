"""One file, one server: starting, sharing and stopping it, with real processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue.embedded import hold, locks
from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask, remove_private
from hotqueue.embedded.hold import Hold
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import (
    Users,
    kill_server,
    nothing_left,
    server_pid,
    servers_of,
)
from tests.support.processes import run_python
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


def test_making_one_touches_nothing(path: Path) -> None:
    made = EmbeddedServer(path)
    assert (made.path, made.durability) == (str(path), "everysec")
    assert not list(path.parent.iterdir())
    made.close()


def test_a_killed_server_comes_back_with_its_data(server: EmbeddedServer) -> None:
    socket = server.ensure()
    for number in range(100):
        ask(socket, b"RPUSH", b"q", b"%d" % number)
    first = server_pid(socket)
    kill_server(socket)
    assert server.ensure(after_error=True) == socket
    assert server_pid(socket) != first
    assert ask(socket, b"LLEN", b"q") == b"100"


def test_after_a_false_alarm_the_server_is_the_same(server: EmbeddedServer) -> None:
    first = server_pid(server.ensure())
    assert server_pid(server.ensure(after_error=True)) == first


def test_close_of_the_last_user_leaves_a_folder_that_can_be_removed(path: Path) -> None:
    for _ in range(5):
        made = EmbeddedServer(path)
        made.ensure()
        made.close()
        assert not servers_of(path.parent)


def test_windows_imports_it_and_is_told() -> None:
    code = (
        "import socket, subprocess, sys, tempfile, threading, shutil, logging, json\n"
        "sys.platform = 'win32'; sys.modules['fcntl'] = None\n"
        "from hotqueue.embedded.server import EmbeddedServer\n"
        "EmbeddedServer('x.rdb').ensure()"
    )
    done = run_python(code, check=False)
    assert "ConfigError: the embedded server does not run on win32: name a Redis server with url=" in done.stderr


# --- private servers: ":memory:" ------------------------------------------------------------------------------------


@pytest.fixture
def private(private_folder: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(":memory:")
    yield made
    made.close()
    nothing_left(private_folder)
    assert not private_folder.exists()


def put(private: EmbeddedServer) -> None:
    ask(private.ensure(), b"RPUSH", b"q", b"x")


def length(private: EmbeddedServer) -> int:
    return int(ask(private.ensure(), b"LLEN", b"q"))


@pytest.mark.parametrize("moment", ["mkdir", "lstat"])
def test_others_that_end_may_take_the_folder_of_all_such_servers_away(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    files, taken, call = Files.private(str(private_folder / "m-1")), list[str](), getattr(os, moment)
    last = {"mkdir": files.run, "lstat": str(private_folder)}[moment]  # that is called when the folder of all is there

    def call_late(path: str, *how: int) -> Any:
        if path == last and len(taken) < 3:
            taken.append(path)
            private_folder.rmdir()
        return call(path, *how)

    monkeypatch.setattr(os, moment, call_late)
    locks.close_lock(hold._open_users(files, may_create=True))
    assert len(taken) == 3
    remove_private(os.fsencode(files.run))


def test_nothing_is_written_and_the_folder_goes(private: EmbeddedServer, private_folder: Path) -> None:
    put(private)
    assert (private.path, length(private)) == (":memory:", 1)
    assert not list(private_folder.rglob("*.aof*"))
    private.close()
    assert not private_folder.exists()
    assert length(private) == 0


def test_close_waits_until_the_folder_is_gone_though_the_lock_to_wait_at_goes_before(
    private: EmbeddedServer, private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where this process stood still in the middle of it, and the guardian did not."""
    run = Path(private.ensure()).parent
    for number in range(5_000):  # the guardian has much to remove
        (run / f"{number}").touch()
    close = Hold._close

    def stands_still(hold: Hold) -> None:
        close(hold)
        wait_until(lambda: not (run / "guardian.lock").exists())

    monkeypatch.setattr(Hold, "_close", stands_still)
    private.close()
    assert not private_folder.exists()


def test_objects_of_one_process_share_it(private: EmbeddedServer) -> None:
    put(private)
    other = EmbeddedServer(":memory:")
    assert length(other) == 1
    other.close()
    assert length(private) == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_share_it(private: EmbeddedServer, method: str) -> None:
    """Even a child that puts before its parent has done anything, and is gone before the parent gets."""
    context = multiprocessing.get_context(method)
    for _ in range(2):
        child = context.Process(target=put, args=(private,))
        child.start()
        child.join()
        assert child.exitcode == 0
    assert length(private) == 2


def test_it_lives_as_long_as_a_child(private: EmbeddedServer, private_folder: Path) -> None:
    put(private)
    child = os.fork()
    if not child:
        signal.pause()
    private.close()
    assert private_folder.exists()
    assert length(private) == 1
    private.close()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_until(lambda: not private_folder.exists())


def test_a_copy_of_a_server_that_is_gone_says_so(private: EmbeddedServer, private_folder: Path) -> None:
    copy = pickle.dumps(private)
    private.close()
    code = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1])).ensure()"
    done = run_python(code, copy.hex(), check=False)
    assert "ConnectionFailed: the private server of" in done.stderr
    assert "is gone" in done.stderr


def test_a_crash_loses_the_data_but_not_the_place(private: EmbeddedServer, private_folder: Path) -> None:
    put(private)
    for _ in range(2):
        os.kill(server_pid(private.ensure()), signal.SIGKILL)
        private.ensure(after_error=True)
    assert length(private) == 0


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


def test_a_copy_in_the_same_process_is_one_more_object(private: EmbeddedServer) -> None:
    copy = pickle.loads(pickle.dumps(private))
    put(copy)
    assert length(private) == 1
    private.close()
    assert length(copy) == 1
    copy.close()
    assert length(copy) == 0
    copy.close()
