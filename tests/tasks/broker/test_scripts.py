"""The scripts of the room: each file has its name, and what it shares with others is in front of it."""

from __future__ import annotations

from pathlib import Path

import hotqueue
from hotqueue import sizes
from hotqueue.store.scripts import Script
from hotqueue.tasks.broker import scripts

FOLDER = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"
SHARED = {"prelude", "holds", "ending"}  # put in front of others


def test_each_file_is_a_script_of_that_name() -> None:
    named = {name.lower(): value for name, value in vars(scripts).items() if isinstance(value, Script)}
    assert named.keys() == {path.stem for path in FOLDER.glob("*.lua")} - SHARED
    for name, script in named.items():
        assert script.text.endswith((FOLDER / f"{name}.lua").read_bytes())


def test_sizes_that_python_knows_as_well_are_in_front_of_all() -> None:
    assert f"local READ_BYTES = {sizes.READ_BYTES}\n".encode() in scripts.STEP.text
    assert scripts.ENQUEUE_ONE.text.startswith(f"local SMALL_TASK = {sizes.SMALL_TASK}\n".encode())


def test_what_ends_waiting_tasks_is_in_front_of_the_two_that_do() -> None:
    ending = (FOLDER / "ending.lua").read_bytes()
    assert {name for name, value in vars(scripts).items() if isinstance(value, Script) and ending in value.text} == {
        "EXPIRE",
        "REVOKE",
    }
