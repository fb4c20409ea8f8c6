"""Tables fit a terminal, and are plain elsewhere; what the store holds is no markup and moves no cursor."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys

import pytest

from hotqueue.cli import tables
from hotqueue.cli.tables import Column
from tests.support.processes import ROOT

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


def test_on_a_terminal_it_is_as_wide_as_that() -> None:
    import fcntl
    import termios

    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")} | {"TERM": "xterm"}
    code = "from tests.cli.test_tables import *; tables.table(COLUMNS, ROWS)"  # rich looks at the terminal of its process
    subprocess.run([sys.executable, "-c", code], stdin=its, stdout=its, stderr=its, env=env, cwd=ROOT, check=True, timeout=60)
    os.close(its)
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


def test_a_line_of_json_is_one_line() -> None:
    assert tables.json_line({"a": "x\ny", "b": 1}) == '{"a":"x\\ny","b":1}'
