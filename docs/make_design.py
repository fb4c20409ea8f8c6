"""Writes the parts of design.md that follow from the code: rooms (by the contracts), keys, scripts (by the heads of Lua files).

``python docs/make_design.py`` writes; with ``--check`` it only tells, by its exit code, whether the page is current.
"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from make_lifecycle import replaced, write

import hotqueue
from hotqueue import keys

PAGE = Path(__file__).with_name("design.md")
PACKAGE = Path(hotqueue.__file__).parent
SHARED = ("held", "members")


def rooms() -> str:
    """Return every room with its files, from the top floor to the ground, in the order of the contracts."""
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = {contract["id"]: contract["layers"] for contract in contracts if contract["type"] == "layers"}
    parts = []
    for floor in floors["rooms"]:
        modules = [name for name in _names(floor) if (PACKAGE / f"{name}.py").exists()]
        if modules:
            parts.append(_files("One file each" if len(modules) > 1 else "", [PACKAGE / f"{name}.py" for name in modules]))
        for name in _names(floor):
            if (PACKAGE / name).is_dir():
                parts.append(_room(PACKAGE / name))
            if name == "web":
                parts.append(_room(PACKAGE / "web" / "pages"))
            if name == "tasks":
                parts += [_room(PACKAGE / "tasks" / inner) for row in floors["tasks"] for inner in _names(row)]
    return "\n\n".join(part for part in parts if part)


def _names(floor: str) -> list[str]:
    return [name.strip("() ") for name in re.split("[:|]", floor)]


def _room(folder: Path) -> str:
    """Return a room's title, what its docstring says, and its files; "" for one that is not built yet, or is a file."""
    if not folder.is_dir():
        return ""
    title = f"### `{folder.relative_to(PACKAGE).as_posix()}/`"
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    return f"{title}\n\n{_first_part(folder / '__init__.py')}\n\n{_files('', files)}"


def _files(title: str, files: list[Path]) -> str:
    head = [f"**{title}**:\n"] if title else []
    rows = [f"| `{path.relative_to(PACKAGE).as_posix()}` | {_first_part(path).removesuffix('.')} |" for path in files]
    return "\n".join([*head, "| file | what lives there |", "|---|---|", *rows])


def _first_part(path: Path) -> str:
    """Return the first paragraph of a module's docstring, in one line."""
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(said.partition("\n\n")[0].split()).replace("|", "or")


def key_table() -> str:
    """Return every key that keys.py names, with what its docstring says."""
    rows = ["| key | type | holds |", "|---|---|---|"]
    for name, function in vars(keys).items():
        if not name.startswith("_") and inspect.isfunction(function) and _names_a_key(function):
            kind, _, holds = (function.__doc__ or "").partition(": ")
            rows.append(f"| `{_shown(function)}` | {kind} | {' '.join(holds.replace('``', '`').split()).removesuffix('.')} |")
    return "\n".join(rows)


def _names_a_key(function: Callable[..., str]) -> bool:
    return function is not keys.check_name and next(iter(inspect.signature(function).parameters)) == "name"


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
        if path.stem not in SHARED:
            head = re.split(r"\n(?!--)|\n-- (?:KEYS|ARGV|Returns)", path.read_text())[0]
            said = " ".join(line.lstrip("- ") for line in head.splitlines())
            rows.append(f"| `{path.stem}` | {said} |")
    return "\n".join(rows)


if __name__ == "__main__":
    made = PAGE.read_text()
    for part, text in (
        ("the rooms", rooms()),
        ("the keys", key_table()),
        ("the scripts of tasks", script_table("tasks/broker/lua")),
        ("the scripts of the queue", script_table("messages/lua")),
        ("the scripts of transfer", script_table("transfer/lua")),
    ):
        made = replaced(made, part, text)
    write(PAGE, made)
