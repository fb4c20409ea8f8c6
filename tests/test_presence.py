"""The dead told from the living by a flock: killed, stopped, forked, zombie, out of sight."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import presence
from hotqueue.presence import Presence, clear_state, forget, has_left, is_alive, path_of, read_state
from tests.support.processes import run_python, state_of
from tests.support.waiting import wait_until

ANNOUNCE = """
import sys
from hotqueue.presence import Presence
mine = Presence(8)
mine.state[:3] = b"abc"
print(mine.folder, mine.id, flush=True)
sys.stdin.readline()
"""

StartPython = Callable[..., subprocess.Popen[str]]


def announced(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout
    folder, name = process.stdout.readline().split()
    return folder, name


def test_one_that_lives_is_alive_until_it_leaves() -> None:
    mine = Presence()
    assert is_alive(mine.folder, mine.id) is True
    mine.close()
    assert is_alive(mine.folder, mine.id) is None  # no file: nothing is known of it
    mine.close()


def test_every_presence_has_a_name_of_its_own() -> None:
    made = [Presence() for _ in range(10)]
    assert len({each.id for each in made}) == 10
    assert all(f"-{os.getpid()}-" in each.id and not set("{}:/ ") & set(each.id) for each in made)
    for each in made:
        each.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_was_killed_is_dead_even_as_a_zombie(start_python: StartPython, how: signal.Signals) -> None:
    process = start_python(ANNOUNCE)
    folder, name = announced(process)
    assert is_alive(folder, name) is True
    process.send_signal(how)  # and nobody waits for it
    wait_until(lambda: is_alive(folder, name) is False)
    forget(folder, name)
    forget(folder, name)
    assert is_alive(folder, name) is None


def test_one_that_was_stopped_is_alive(start_python: StartPython) -> None:
    process = start_python(ANNOUNCE)
    folder, name = announced(process)
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(process.pid) == "T")
    assert is_alive(folder, name) is True


def test_asking_does_not_kill(start_python: StartPython) -> None:
    process = start_python(ANNOUNCE)
    folder, name = announced(process)
    assert {is_alive(folder, name) for _ in range(1000)} == {True}


@pytest.mark.parametrize("size", [0, 64], ids=["bare", "with state"])
def test_a_forked_child_does_not_keep_its_parent_alive(size: int) -> None:
    code = """
import os, sys
from hotqueue.presence import Presence, is_alive
from tests.support.durations import take_time
reader, writer = os.pipe()
parent = os.fork()
if not parent:
    mine = Presence(int(sys.argv[1]))
    if os.fork():
        os._exit(0)
    os.write(writer, f"{mine.folder} {mine.id}".encode())  # what runs after a fork has run
    take_time(60)  # outlives it
    os._exit(0)
folder, name = os.read(reader, 1000).decode().split()
os.waitpid(parent, 0)
assert is_alive(folder, name) is False
os.killpg(os.getpgid(0), 9)
"""
    done = run_python(code, size, check=False, start_new_session=True)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")


def test_let_go_leaves_the_file_as_death_does() -> None:
    mine = Presence()
    mine.let_go()
    assert is_alive(mine.folder, mine.id) is False
    forget(mine.folder, mine.id)


def test_that_one_has_left_is_seen_but_not_of_the_dead() -> None:
    left, let_go = Presence(), Presence()
    assert not has_left(left.folder, left.id)
    left.close()
    let_go.let_go()
    assert has_left(left.folder, left.id)
    assert not has_left(let_go.folder, let_go.id)
    assert not has_left("/nowhere", left.id)
    forget(let_go.folder, let_go.id)


def test_the_state_can_be_read_and_outlives_its_owner(start_python: StartPython) -> None:
    process = start_python(ANNOUNCE)
    folder, name = announced(process)
    assert read_state(folder, name) == b"abc\0\0\0\0\0"
    process.kill()
    process.wait()
    assert read_state(folder, name) == b"abc\0\0\0\0\0"
    forget(folder, name)
    assert read_state(folder, name) is None


@pytest.mark.parametrize("folder", ["", "/tmp/hotqueue-0/present-elsewhere"])
def test_what_is_out_of_sight_is_unknown(folder: str) -> None:
    assert is_alive(folder, "host-1-abcdef") is None


@pytest.mark.parametrize("name", ["precious", "../precious", "deeper/../../precious", "precious\0", "..", ""])
def test_no_file_but_a_presence_is_opened_or_removed_whatever_redis_says(tmp_path: Path, name: str) -> None:
    """Folder and name come from there, and who can write there must not reach the files here."""
    (precious := tmp_path / "precious").write_text("mine")
    (tmp_path / "folder").mkdir()
    mine = Presence()
    away = os.path.relpath(tmp_path, mine.folder)
    for folder, incarnation in ((str(tmp_path), name), (f"{tmp_path}/folder", name), (mine.folder, f"{away}/{name}")):
        assert is_alive(folder, incarnation) is None
        assert read_state(folder, incarnation) is None
        forget(folder, incarnation)
    assert precious.read_text() == "mine"
    assert (tmp_path / "folder").exists()
    mine.close()


def test_a_folder_of_somebody_else_is_not_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(presence, "Path", lambda path: Path(str(path).replace("/tmp", str(tmp_path))))
    (mine := tmp_path / f"hotqueue-{os.getuid()}").mkdir(mode=0o700)
    assert presence.folder().startswith(str(mine))
    mine.chmod(0o777)
    assert presence.folder() == ""
    assert Presence().trouble == f"{mine} is open to other users (mode 777)"
    mine.rmdir() if not list(mine.iterdir()) else mine.rename(tmp_path / "aside")
    mine.write_text("in the way")
    assert Presence().trouble == f"{mine}: File exists"


def test_where_no_file_can_be_had_a_name_is_left_and_the_reason() -> None:
    """Of a disk that is full, as this test's own process may not write more than a few bytes to a file."""
    code = """
import os, resource
from hotqueue.presence import Presence, folder, is_alive
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
mine = Presence(8192)
mine.state[8000] = 1
print(repr(mine.folder), len(mine.state), is_alive(mine.folder, mine.id), os.path.exists(os.path.join(folder(), mine.id)))
print(mine.trouble.removeprefix(folder()))
mine.close()
"""
    told = run_python(code).stdout.splitlines()
    assert told == ["'' 8192 None False", ": File too large"]


def test_the_space_of_the_state_is_taken_at_once() -> None:
    mine = Presence(100_000)
    assert os.stat(path_of(mine.folder, mine.id)).st_blocks * 512 >= 100_000
    mine.close()


def test_without_flock_leases_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "fcntl", None)  # as on Windows
    mine = Presence(4)
    assert (mine.folder, bytes(mine.state or b""), is_alive(mine.folder, mine.id)) == ("", b"\0\0\0\0", None)
    mine.close()


def test_the_file_is_private() -> None:
    mine = Presence()
    assert os.stat(path_of(mine.folder, mine.id)).st_mode & 0o777 == 0o600
    assert os.stat(mine.folder).st_mode & 0o777 == 0o700
    mine.close()


def test_the_state_of_the_dead_can_be_cleared() -> None:
    mine = Presence(16)
    mine.state[:4] = b"runs"  # type: ignore[index]
    mine.let_go()
    assert (read_state(mine.folder, mine.id) or b"")[:4] == b"runs"
    clear_state(mine.folder, mine.id)
    assert (read_state(mine.folder, mine.id), is_alive(mine.folder, mine.id)) == (bytes(16), False)
    forget(mine.folder, mine.id)
    clear_state(mine.folder, mine.id)
    assert not os.path.exists(path_of(mine.folder, mine.id))
