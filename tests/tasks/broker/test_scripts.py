"""The scripts of the room: each file has its name, and what it shares with others is in front of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hotqueue
from hotqueue import sizes
from hotqueue.store.scripts import Script
from hotqueue.tasks.broker import scripts
from tests.tasks.broker.test_lanes import plain
from tests.tasks.broker.test_unique import only

FOLDER = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua"


def test_each_file_is_a_script_of_that_name() -> None:
    named = {name.lower(): value for name, value in vars(scripts).items() if isinstance(value, Script)}
    enqueueing = [named.pop("enqueue_unique").text, named.pop("enqueue_steps").text, named["enqueue"].text]
    assert len(set(enqueueing)) == 3  # the same file, with other constants
    assert named.pop("step_following").text != named["step"].text
    assert named.keys() == {path.stem for path in FOLDER.glob("*.lua")}
    for name, script in named.items():
        first_line = (FOLDER / f"{name}.lua").read_bytes().partition(b"\n")[0]
        assert first_line in script.text


def test_what_stores_unique_tasks_is_another_script() -> None:
    assert scripts.enqueueing([plain("p"), only("u"), plain("q")]) is scripts.ENQUEUE_UNIQUE
    assert scripts.enqueueing([plain("p"), b"x"]) is scripts.enqueueing([]) is scripts.ENQUEUE


def test_sizes_that_python_knows_as_well_are_put_in_place() -> None:
    assert f"bytes > {sizes.READ_BYTES} then".encode() in scripts.PROMOTE.text
    assert f"#envelope > {sizes.SMALL_TASK} then".encode() in scripts.ENQUEUE_ONE.text


def test_what_ends_waiting_tasks_is_in_front_of_those_that_do() -> None:
    ending = b"local function ending("
    assert {name for name, value in vars(scripts).items() if isinstance(value, Script) and ending in value.text} == {
        *("ENQUEUE_UNIQUE", "ENQUEUE_STEPS", "EXPIRE", "REVOKE", "REVOKE_SOME", "REVOKE_STEPS"),
        *("STEP_FOLLOWING", "REVIVE", "DISCARD", "FOLLOW", "HEAR", "ASK_AGAIN", "END_LOST"),  # which end the steps behind a task
    }


@pytest.mark.parametrize("name", sorted(name for name, value in vars(scripts).items() if isinstance(value, Script)))
def test_a_script_has_all_that_it_calls_and_no_constant_is_left_without_its_value(name: str) -> None:
    text = re.sub(r"--.*|'(?:\\.|[^'\\\n])*'", "", getattr(scripts, name).text.decode())
    called = set(re.findall(r"(?<![\w.:])(\w+)\(", text)) - {
        "function",
        "unpack",
        "tonumber",
        "type",
        "pcall",
        "error",
        "ipairs",
        "pairs",
        "setmetatable",
    }
    made = set(re.findall(r"function (\w+)\(", text)) | set(re.findall(r"local (\w+)\b", text))
    given = {each for parameters in re.findall(r"function[^(\n]*\(([^)]*)\)", text) for each in parameters.split(", ")}
    behind_constants = {"ENQUEUE": {"laying"}, "ENQUEUE_UNIQUE": {"laying"}, "STEP": {"following", "replacing", "are_unused"}}
    called -= behind_constants.get(name, set())
    assert called - made - given - {"next", "if", "and", "or", "not", "return", "in", "pcall", "call"} == set()
    assert set(re.findall(r"(?<![\w.])[A-Z][A-Z_0-9]+\b", text)) - made <= {"KEYS", "ARGV"}
