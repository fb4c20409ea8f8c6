"""Tables fit a terminal, and are plain elsewhere; what the store holds is no markup and moves no cursor."""

from __future__ import annotations

import os
import pty
import re
import struct
import sys
from datetime import UTC, datetime, timedelta

import pytest

from hotqueue.cli import tables
from hotqueue.cli.tables import Column

COLUMNS = (Column("id"), Column("count", is_number=True), Column("nothing"), Column("text", may_shrink=True))
ROWS = [["a", "7", "", "[red]x[/red] \x1b[2J " + "y" * 200], ["bcd", "10", "", "z"]]


def test_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    tables.table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ID   COUNT  NOTHING  TEXT"
    assert lines[1].startswith(r"a        7           [red]x[/red] \x1b[2J yyy")
    assert lines[1].endswith("y…")
    assert lines[2] == "bcd     10           z"
    tables.table(COLUMNS, [])
    assert capsys.readouterr().out == ""


def test_on_a_terminal_it_is_as_wide_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl
    import termios

    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    for variable in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(its, "w") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        for standard in ("stdin", "stderr"):  # of which rich asks as well
            patched.setattr(sys, f"__{standard}__", terminal)
        tables.table(COLUMNS, ROWS)
        terminal.flush()
        said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "\x1b[1m" in said
    lines = re.sub(r"\x1b\[[\d;]*m", "", said).replace("\r", "").splitlines()
    assert lines[0].split() == ["id", "count", "text"]  # a column without anything in it takes no room
    assert lines[1].startswith(r"a        7  [red]x[/red] \x1b[2J y")
    assert max(map(len, lines)) <= 60


def test_facts_go_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    tables.facts([("a", "one\ntwo"), ("longer", "x"), ("none", "")])
    assert capsys.readouterr().out == "a       one\n        two\nlonger  x\n"


def test_times_and_sizes_in_words() -> None:
    now = datetime.now(UTC)
    assert [tables.ago(now - timedelta(seconds=s)) for s in (0, 90, 600, 7200, 5 * 86400)] == ["0s", "90s", "10m", "2h", "5d"]
    assert tables.ago(now + timedelta(seconds=600.9)) == "in 10m"
    assert (tables.ago(None), tables.moment(None), tables.size(None)) == ("", "", "")
    assert [tables.size(each) for each in (5, 200_000, 45_000_000)] == ["5 B", "0.2 MB", "45 MB"]
    assert tables.moment(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2030-01-02 03:04:05 UTC"


def test_a_line_of_json_is_one_line() -> None:
    assert tables.json_line({"a": "x\ny", "b": 1}) == '{"a":"x\\ny","b":1}'
