"""A task as it is enqueued goes to the script in the order in which that reads it: see the head of enqueue.lua."""

from __future__ import annotations

import re
from pathlib import Path

import hotqueue
from hotqueue.tasks.broker.encoded import Encoded


def test_its_parts_are_in_the_order_in_which_the_script_reads_them() -> None:
    script = Path(hotqueue.__file__).parent / "tasks" / "broker" / "lua" / "enqueue.lua"
    said = re.search(r"^-- ARGV per task: (.*)$", script.read_text(), re.M)
    assert said is not None
    assert re.sub(r" \(.*?\)", "", said[1]).split(", ") == list(Encoded._fields)
