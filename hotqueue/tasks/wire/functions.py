"""What travels by name and what by value. Pure but for looking at sys.modules.

By name when a worker can import it; by value (cloudpickle) when it cannot: typed at a prompt or in a notebook, a lambda, a
closure, a function of a module that has no file a worker could find.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

from hotqueue.tasks.wire import main_module


def module_of(function: Callable[..., Any]) -> str:
    """Return the module that a worker has to import for `function`; that of the running script is not `__main__` to a worker."""
    module = getattr(function, "__module__", None) or "__main__"
    if module not in main_module.MAINS:
        return module
    found = main_module.named(function, is_bound=False)
    return found[0] if found else "__main__"


def name_of(function: Callable[..., Any]) -> str:
    """Return a task's default name: ``module.qualname``."""
    qualname = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module_of(function)}.{qualname}"


def is_nameless(name: str, function: Callable[..., Any]) -> bool:
    """Tell whether a task's name leads to no function, like that of a lambda: its calls go by value, and by no name."""
    return "<" in name and name == name_of(function)


def is_in_class(function: Callable[..., Any]) -> bool:
    """Tell whether a function was defined in the body of a class."""
    holder = getattr(function, "__qualname__", "").rpartition(".")[0]
    return bool(holder) and not holder.endswith("<locals>")


def needs_value(function: Callable[..., Any]) -> bool:
    """Tell whether `function` has to travel by value, because no worker can import it."""
    qualname = getattr(function, "__qualname__", "")
    module = getattr(function, "__module__", None)
    if not qualname or "<" in qualname or not module:
        return True
    if module in main_module.MAINS:
        return main_module.named(function, is_bound=False) is None or not main_module.leads_to(qualname, function)
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
