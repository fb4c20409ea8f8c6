"""The script that is run: `__main__` in this process, a module of some name to everybody else. Pickles nothing.

What ``python shop.py`` or ``python -m pkg.shop`` defines is known to a worker as ``shop.…``; both directions live here. The
script is known by its namespace: under cProfile, trace and their like, `sys.modules["__main__"]` is the tool.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import tokenize
from dataclasses import dataclass
from functools import cached_property
from typing import Any

MAINS = frozenset({"__main__", "__mp_main__"})  # the second is the script's name in a process that multiprocessing spawned


@dataclass
class _Script:
    """A namespace that runs as `__main__`.

    Attributes:
        file: where its code is; None at a prompt or in a notebook.
        name: the module that others import to get it; None if they cannot.
        has_tasks: True once a task of it goes by name: its workers import it. They do not import a script that only sends.
    """

    namespace: dict[str, Any]
    file: str | None
    name: str | None
    has_tasks: bool = False

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that whoever imports the file finds in it; not those bound under ``if __name__ == "__main__":``."""
        try:
            with tokenize.open(self.file or "") as source:
                bound = _Bound(ast.parse(source.read()))
        except (OSError, SyntaxError, ValueError):
            return frozenset(self.namespace)
        return frozenset(self.namespace if bound.has_star else bound.names)


class _Bound(ast.NodeVisitor):
    """The names that the import of a module binds."""

    def __init__(self, tree: ast.AST) -> None:
        self.names: set[str] = set()
        self.has_star = False
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.names.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.names.add(node.id)

    def visit_alias(self, node: ast.alias) -> None:
        self.names.add((node.asname or node.name).partition(".")[0])
        self.has_star = self.has_star or node.name == "*"

    def visit_If(self, node: ast.If) -> None:
        test = ast.unparse(node.test)
        is_guard = "__name__" in test and "__main__" in test
        for statement in [] if is_guard and "!=" not in test else node.body:
            self.visit(statement)
        for statement in [] if is_guard and "!=" in test else node.orelse:
            self.visit(statement)


_script: _Script | None = None
_mark: bytes | None = None


def adopt(function: Any) -> None:
    """Note that a function becomes a task: if it runs as `__main__`, its namespace is that of the script."""
    if getattr(function, "__module__", None) in MAINS:
        namespace = getattr(inspect.unwrap(function), "__globals__", {})
        script = _look_at(namespace) if namespace.get("__name__") in MAINS else _current()
        script.has_tasks = script.has_tasks or named(function, is_bound=False) is not None


def _look_at(namespace: dict[str, Any]) -> _Script:
    """Return what is known of a namespace, looking anew only at another one."""
    global _script, _mark
    found = _script
    if found is None or found.namespace is not namespace:
        file = namespace.get("__file__")
        file = file if isinstance(file, str) else None
        found = _script = _Script(namespace, file, _name(namespace.get("__spec__"), file))
        _mark = found.name.encode() if found.name else None
    return found


def _current() -> _Script:
    return _script or _look_at(vars(sys.modules["__main__"]))


def _name(spec: Any, file: str | None) -> str | None:
    """Return the name under which others can import `file`; the spec counts only where it is this file's, and no tool's."""
    if file is None:
        return None
    if spec is not None and spec.name not in MAINS and _is_same(spec.origin, file):
        return str(spec.name)
    stem, ending = os.path.splitext(os.path.basename(file))
    if ending != ".py" or not stem.isidentifier() or stem == "__main__":
        return None
    other = _file_of(stem)
    return stem if other is None or _is_same(other, file) else None


def _file_of(name: str) -> str | None:
    """Return the file of the module that is imported under a name; None if there is no such module."""
    try:
        if name in sys.modules:
            return str(getattr(sys.modules[name], "__file__", None))
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None else str(spec.origin)


def _is_same(one: str | None, other: str) -> bool:
    try:
        return one is not None and os.path.samefile(one, other)
    except OSError:
        return False


def name() -> str | None:
    """Return the name under which others can import the running script; None for a prompt, a notebook, ``-c``, a zip file."""
    return _current().name


def mark() -> bytes | None:
    """Return what a pickle contains that may refer to the running script from outside."""
    if _script is None:
        _current()
    return _mark


def named(thing: Any, is_bound: bool = True) -> tuple[str, str] | None:
    """Return module and qualname under which workers import a thing of `__main__`; None if they cannot, or have no reason to.

    Args:
        is_bound: False while it is just being defined, and its name does not lead to it yet.
    """
    script = _current()
    qualname = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if script.name is None or not isinstance(qualname, str) or "<" in qualname:
        return None
    if is_bound and not (script.has_tasks and _resolved(script.namespace, qualname) is thing):
        return None
    if getattr(getattr(thing, "__code__", None), "co_filename", "").startswith("<"):
        return None  # typed at the prompt of `python -i shop.py`
    return (script.name, qualname) if qualname.partition(".")[0] in script.names else None


def named_as(thing: Any, qualname: str) -> tuple[str, str] | None:
    """Return the same for a value that gives its own name, as a singleton's `__reduce__` may."""
    script = _current()
    is_known = script.name and script.has_tasks and _resolved(script.namespace, qualname) is thing
    return (str(script.name), qualname) if is_known else None


def find(module: str, qualname: str) -> Any:
    """Return what others call ``module.qualname``: the script's own, where this process runs that module as `__main__`.

    Raises:
        ImportError, AttributeError: there is no such thing.
    """
    script = _current()
    if is_script(module):
        found = _resolved(script.namespace, qualname)
        if found is not None:
            return found
    found = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


find.__module__, find.__qualname__ = "hotqueue.tasks", "find_in_script"  # what pickles call it, wherever this file goes


def is_script(module: str) -> bool:
    """Tell whether a module is what this process runs as `__main__`."""
    script = _current()
    if script.name != module:
        return False  # below: what a tool ran, as tests may do with runpy, yields to a module that was imported since
    return module not in sys.modules or script.namespace is vars(sys.modules["__main__"])


def leads_to(qualname: str, function: Any) -> bool:
    """Tell whether a name leads, in the script, to this function or to the task made of it."""
    found = _resolved(_current().namespace, qualname)
    return found is function or getattr(found, "__wrapped__", None) is function


def _resolved(namespace: dict[str, Any], qualname: str) -> Any:
    first, *more = qualname.split(".")
    found = namespace.get(first)
    for part in more:
        found = getattr(found, part, None)
    return found
