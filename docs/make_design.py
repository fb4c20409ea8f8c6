"""Writes the tables of keys and scripts in design.md from hotqueue/keys.py and the heads of the Lua files.

``python docs/make_design.py`` writes; with ``--check`` it only tells, by its exit code, whether the page is current.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

from make_lifecycle import replaced, write

import hotqueue
from hotqueue import keys

PAGE = Path(__file__).with_name("design.md")
PACKAGE = Path(hotqueue.__file__).parent
PRELUDES = ("prelude", "held", "members")


def key_table() -> str:
    """Return every key that keys.py names, with what its docstring says."""
    rows = ["| key | type | holds |", "|---|---|---|"]
    for function in vars(keys).values():
        if inspect.isfunction(function) and _names_a_key(function):
            kind, _, holds = (function.__doc__ or "").partition(": ")
            rows.append(f"| `{_shown(function)}` | {kind} | {' '.join(holds.replace('``', '`').split()).removesuffix('.')} |")
    return "\n".join(rows)


def _names_a_key(function: Callable[..., str]) -> bool:
    public = not function.__name__.startswith("_") and function is not keys.check_name
    return public and next(iter(inspect.signature(function).parameters)) == "name"


def _shown(function: Callable[..., str]) -> str:
    """Return a key with its parameters' names in their places: ``{…}:held:<worker>``."""
    parameters = list(inspect.signature(function).parameters)
    values = [f"<{parameter.removesuffix('_id')}>" for parameter in parameters[1:]]
    key = function("N", *values)
    return key.replace("{hotqueue:N}", "{…}").replace("<task>", "<id>")


def script_table(folder: str) -> str:
    """Return every script of a folder, with the first sentence of its head."""
    rows = ["| script | does |", "|---|---|"]
    for path in sorted((PACKAGE / folder).glob("*.lua")):
        if path.stem not in PRELUDES:
            head = re.split(r"\n(?!--)|\n-- (?:KEYS|ARGV|Returns)", path.read_text())[0]
            said = " ".join(line.lstrip("- ") for line in head.splitlines())
            rows.append(f"| `{path.stem}` | {said} |")
    return "\n".join(rows)


if __name__ == "__main__":
    made = PAGE.read_text()
    for part, text in (
        ("the keys", key_table()),
        ("the scripts of tasks", script_table("tasks/broker/lua")),
        ("the scripts of the queue", script_table("messages/lua")),
        ("the scripts of transfer", script_table("transfer/lua")),
    ):
        made = replaced(made, part, text)
    write(PAGE, made)
