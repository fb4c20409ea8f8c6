"""docs/commands.md shows what the commands print, and leaves none of them out."""

from __future__ import annotations

import re
import sys
from dataclasses import fields

import click
import pytest

from hotqueue.cli.admin import hotqueue
from hotqueue.monitor.one_task import Event, OneTask
from hotqueue.monitor.schedules import ScheduleRow
from hotqueue.monitor.tasks import Row
from hotqueue.monitor.workers import InHand, Worker
from tests.support.processes import ROOT, run_python

PAGE = ROOT / "docs" / "commands.md"


@pytest.mark.skipif(sys.platform != "linux", reason="memory of processes is told on Linux alone")
def test_what_it_shows_is_what_they_print() -> None:
    done = run_python(ROOT / "docs" / "make_commands.py", "--check", check=False)
    assert done.returncode == 0, f"{done.stderr}\n(python docs/make_commands.py makes it so)"


def test_it_has_every_command() -> None:
    text = PAGE.read_text()
    names = hotqueue.list_commands(click.Context(hotqueue))
    assert [name for name in names if not re.search(rf"hotqueue {name}\b", text)] == []


@pytest.mark.parametrize("kind", [Row, OneTask, Event, Worker, InHand, ScheduleRow])
def test_it_has_every_field_of_what_is_printed_as_json(kind: type) -> None:
    text = PAGE.read_text()
    assert [field.name for field in fields(kind) if f"`{field.name}`" not in text] == []
