"""The layout itself: sizes, whose private names are read where, and that each file has its tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT

PACKAGE = ROOT / "hotqueue"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
LONGEST_FILE, LONGEST_CLASS, LONGEST_FUNCTION = 300, 250, 50

# Private names of libraries that have no public way to the same thing.
OF_OTHERS = {
    "os._exit": "ends a forked process without what it inherited",
    "sys._getframe": "finds the caller's line without reading source files",
    "_str": "traceback: the text of an error, to shorten it",
    "_replace": "public, of named tuples",
    "_sock": "redis-py: waiting for a reply, for descriptors of any number",
    "_parser": "redis-py: what it has read ahead",
    "_reader": "redis-py: closing without a running loop",
    "_writer": "redis-py: closing without a running loop",
    "_connections": "redis-py: the connections of a cluster's node",
    "_initialize": "redis-py: whether a cluster client has been set up",
    "_closed": "asyncio: a transport of a loop that has ended",
    "_closing": "asyncio: the same",
    "_transport": "asyncio: the same",
    "atexit._clear": "a forked process runs no handlers of its parent",
    "atexit._run_exitfuncs": "a worker process ends as a program does",
    "weakref.finalize._exitfunc": "the same",
    "util._exit_function": "the same, of multiprocessing",
    "threading._shutdown": "the same",
}


def ours(tree: ast.Module) -> set[str]:
    """Return the names that classes of a module define or set."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(part.name)
                elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in ("self", "cls"):
                    found.add(part.attr)
                elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    found.add(part.target.id)
                elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                    found.add(part.value)  # __slots__
    return found


def private_reads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield where a module reads a private name that is not its own, and which."""
    own = ours(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hotqueue"):
            yield from ((node.lineno, alias.name) for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            yield node.lineno, ast.unparse(node)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_allowed(read: str) -> bool:
    return read in OF_OTHERS or read.rpartition(".")[2] in OF_OTHERS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_reads_no_private_name_of_another(path: Path) -> None:
    reads = private_reads(ast.parse(path.read_text()))
    assert [f"line {line}: {read}" for line, read in reads if not is_allowed(read)] == []


def test_every_exception_is_needed() -> None:
    used = {read for path in FILES for _, read in private_reads(ast.parse(path.read_text()))}
    names = used | {read.rpartition(".")[2] for read in used}
    assert [name for name in OF_OTHERS if name not in names] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_has_outgrown_its_first_line(path: Path) -> None:
    text = path.read_text()
    too_long = [f"{len(text.splitlines())} lines"] if len(text.splitlines()) > LONGEST_FILE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > (LONGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION):
                too_long.append(f"{node.name}: {lines} lines")
    assert too_long == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_file_has_its_test_file(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    folder = "queue" if place.as_posix() == "queue.py" else place.parent  # whole-queue behaviour has a folder of its own
    assert (ROOT / "tests" / folder / f"test_{place.name}").exists()
