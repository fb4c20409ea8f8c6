"""One file, one server: starting, sharing and stopping it, with real processes."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue.embedded import default_path, journal, start
from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError, ConnectionFailed
from tests.support.embedded_users import (
    PROGRAMS,
    Users,
    guardian_of,
    kill_guardian,
    kill_server,
    nothing_left,
    real_server,
    server_pid,
    servers_of,
    users,
)
from tests.support.processes import is_gone
from tests.support.waiting import wait_until

__all__ = ["users"]  # a fixture
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.rdb"


@pytest.fixture
def server(path: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(path)
    yield made
    made.close()
    nothing_left(path.parent)


def test_making_one_touches_nothing(path: Path) -> None:
    made = EmbeddedServer(path)
    assert (made.path, made.durability) == (str(path), "everysec")
    assert not list(path.parent.iterdir())
    made.close()


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


def test_a_killed_server_comes_back_with_its_data(server: EmbeddedServer) -> None:
    socket = server.ensure()
    for number in range(100):
        ask(socket, b"RPUSH", b"q", b"%d" % number)
    first = server_pid(socket)
    kill_server(socket)
    assert server.ensure(after_error=True) == socket
    assert server_pid(socket) != first
    assert ask(socket, b"LLEN", b"q") == b"100"


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


def test_after_a_false_alarm_the_server_is_the_same(server: EmbeddedServer) -> None:
    first = server_pid(server.ensure())
    assert server_pid(server.ensure(after_error=True)) == first


def test_a_killed_user_leaves_nothing_running(path: Path, users: Users) -> None:
    user = users(path, "put", "x")
    user.kill()
    nothing_left(path.parent)
    assert users(path).do("len") == "1"


def test_the_file_the_user_named_is_written_at_the_end(path: Path, server: EmbeddedServer) -> None:
    ask(server.ensure(), b"RPUSH", b"q", b"x")
    server.close()
    assert path.read_bytes().startswith((b"REDIS", b"VALKEY"))


def test_close_of_the_last_user_leaves_a_folder_that_can_be_removed(path: Path) -> None:
    for _ in range(5):
        made = EmbeddedServer(path)
        made.ensure()
        made.close()
        assert not servers_of(path.parent)


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


def test_forks_during_starts_hold_no_lock(path: Path) -> None:
    """A fork in the middle of a start copies the locks of the start: the child must not keep them."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            made = EmbeddedServer(path)
            made.ensure()
            made.close()

    thread = threading.Thread(target=churn)
    thread.start()
    children = []
    try:
        for _ in range(30):
            child = os.fork()
            if not child:
                signal.pause()
                os._exit(0)
            children.append(child)
            time.sleep(0.003)  # spreads the forks over the phases of a start; nothing is waited for
    finally:
        stop.set()
        thread.join(timeout=30)
        stuck = thread.is_alive()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert not stuck
    nothing_left(path.parent)


def test_ctrl_c_reaches_the_users_only(path: Path, users: Users) -> None:
    interrupted = users(path, "put", "a", start_new_session=True)
    other = users(path, "put", "b")
    pid = other.do("pid")
    os.killpg(interrupted.process.pid, signal.SIGINT)
    interrupted.process.communicate(timeout=20)
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


def test_a_stopped_server_is_named_not_doubled(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = server_pid(server.ensure())
    monkeypatch.setattr(waiting, "SILENCE", 0.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionFailed, match=rf"process {pid} on {os.uname().nodename}\) is alive but has not answered"):
            server.ensure(after_error=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert server_pid(server.ensure(after_error=True)) == pid


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


def test_spellings_of_one_path_are_one_server(tmp_path: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path)
    (tmp_path / "link.rdb").symlink_to(tmp_path / "db.rdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in ("db.rdb", "folder/../db.rdb", f"{tmp_path}//db.rdb", "alias/db.rdb", "link.rdb", "~/db.rdb", b"db.rdb"):
        other = EmbeddedServer(spelling)  # type: ignore[arg-type]
        assert other.ensure() == server.ensure()
        other.close()


@pytest.mark.parametrize(
    "name",
    [
        "with space.rdb",
        "it's.rdb",
        'a"b.rdb',
        "back\\slash.rdb",
        "new\nline.rdb",
        "füñ日.rdb",
        "\udcff.rdb",
        "l" * 100,
        "%s{}#.rdb",
    ],
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_any_file_name_will_do(tmp_path: Path, name: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_SERVER", str(real_server(program)))
    for folder in (tmp_path, tmp_path / name):
        folder.mkdir(exist_ok=True)
        made = EmbeddedServer(folder / f"x{name}".replace("\\", ""))  # no backslash: the server refuses it in a file name
        ask(made.ensure(), b"RPUSH", b"q", b"x")
        made.close()
        assert os.path.exists(made.path)
        assert ask(made.ensure(), b"LLEN", b"q") == b"1"
        made.close()
    nothing_left(tmp_path)


def test_two_databases_in_one_folder_stay_apart(tmp_path: Path) -> None:
    one, two = EmbeddedServer(tmp_path / "one.rdb"), EmbeddedServer(tmp_path / "two.rdb")
    for made, count in ((one, 3), (two, 1)):
        for _ in range(count):
            ask(made.ensure(), b"RPUSH", b"q", b"x")
    for made, count in ((one, b"3"), (two, b"1")):
        kill_server(made.ensure())
        assert ask(made.ensure(after_error=True), b"LLEN", b"q") == count
        made.close()
    nothing_left(tmp_path)


def test_only_the_owner_can_read_what_is_written(path: Path, server: EmbeddedServer) -> None:
    ask(server.ensure(), b"RPUSH", b"q", b"x")
    run = path.with_name("db.rdb.hotqueue")
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    server.close()
    for entry in [*path.parent.iterdir(), *run.iterdir()]:
        if entry.is_file():
            assert stat.S_IMODE(entry.stat().st_mode) == 0o600, entry


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


def test_the_default_is_one_file_per_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = EmbeddedServer(None)
    assert made.path == default_path() == str(tmp_path / "state" / "hotqueue" / "default.rdb")
    made.ensure()
    made.close()
    assert stat.S_IMODE((tmp_path / "state" / "hotqueue").stat().st_mode) == 0o700
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == str(tmp_path / ".local" / "state" / "hotqueue" / "default.rdb")
    nothing_left(tmp_path)


def test_a_home_that_cannot_be_written_says_what_else_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"XDG_STATE_HOME.*dbfilename=.*url="):
        EmbeddedServer(None).ensure()


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
