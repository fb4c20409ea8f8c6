"""What travels by name and what by value. Pure but for looking at sys.modules.

By name when a worker can import it; by value (cloudpickle) when it cannot: typed at a prompt or in a notebook, a lambda, a
closure, a function of a module that has no file a worker could find.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any


def module_of(function: Callable[..., Any]) -> str:
    """Return the module that a worker has to import for `function`.

    A script run as ``python tasks.py`` is ``__main__`` here but ``tasks`` to a worker; ``python -m shop.tasks`` likewise.
    """
    module = getattr(function, "__module__", None) or "__main__"
    return main_module() or module if module == "__main__" else module


def main_module() -> str | None:
    """Return the name under which others can import the running script, or None (a prompt, a notebook, ``-c``)."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name)
    stem, ending = os.path.splitext(os.path.basename(getattr(main, "__file__", None) or ""))
    return stem if ending == ".py" and stem.isidentifier() else None


def name_of(function: Callable[..., Any]) -> str:
    """Return a task's default name: ``module.qualname``."""
    qualname = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module_of(function)}.{qualname}"


def is_nameless(name: str, function: Callable[..., Any]) -> bool:
    """Tell whether a task's name leads to no function, like that of a lambda: its calls go by value, and by no name."""
    return "<" in name and name == name_of(function)


def needs_value(function: Callable[..., Any]) -> bool:
    """Tell whether `function` has to travel by value, because no worker can import it."""
    qualname = getattr(function, "__qualname__", "")
    module = getattr(function, "__module__", None)
    if not qualname or "<" in qualname or not module:
        return True
    if module == "__main__":
        return main_module() is None
    return not _leads_to(module, qualname, function) or not _has_file(module)


def _leads_to(module: str, qualname: str, function: Callable[..., Any]) -> bool:
    """Tell whether the name really leads to this function, or to the task made of it."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found is function or getattr(found, "__wrapped__", None) is function


def _has_file(module: str) -> bool:
    if module in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
