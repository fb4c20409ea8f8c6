"""Two functions under one task name: the same code defined again, or other code? Looks only at who calls.

Again: a reload, a notebook cell that was edited, a factory, the script that is run and the module of the same file. Other code is
a mistake: a worker can run only one of the two. Two functions that one run of a module (a cell, a function) defines are two, even
of one name; that is seen by their code being constants of the code that runs. What an earlier run defined was defined again.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from hotqueue.errors import TaskNameWarning
from hotqueue.runtime import package

_is_quiet = False


def clash(name: str, queue: str, old: Callable[..., Any], new: Callable[..., Any]) -> str:
    """Return what is wrong when `new` takes the place of `old` as the task `name`; "" when nothing is."""
    if not are_two(old, new):
        return ""
    return (
        f"two functions under one task name: {name!r} of queue {queue!r} is {place_of(old)}, and then {place_of(new)}; "
        "a call by this name can reach only one of them, so give one another name: @queue.task(name=…)"
    )


def warn(text: str) -> None:
    """Warn at the line of the user's that called us; not while a worker loads modules, which makes an error of it."""
    if _is_quiet:
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package.FOLDER):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, TaskNameWarning, stacklevel=level)


@contextmanager
def quietly() -> Iterator[None]:
    """Warn of nothing inside; `warnings.catch_warnings` would undo what filters the user's modules set."""
    global _is_quiet
    _is_quiet = True
    try:
        yield
    finally:
        _is_quiet = False


def are_two(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Tell whether `new` is another function than `old`, rather than the same one defined again."""
    code, then = _code_of(new), _code_of(old)
    if code is None or then is None:  # built-ins have none
        return _path_of(old) != _path_of(new)
    if code is then or _place(code) == _place(then):
        return False
    body = _running_body(code)
    if body is not None and any(found is then for found in _codes_in(body)):
        return True  # one run of one module, cell or function defines both
    is_one_file = _file(code) == _file(then)
    if code.co_qualname == then.co_qualname and (is_one_file or old.__module__ == new.__module__):
        return False  # edited, and loaded again
    if body is None or not is_one_file or not os.path.exists(code.co_filename):
        return True
    return any(found.co_qualname == then.co_qualname for found in _codes_in(body))  # else it was renamed, and loaded again


def place_of(function: Callable[..., Any]) -> str:
    """Return a function's name, file and line, for people."""
    code = _code_of(function)
    return _path_of(function) if code is None else f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})"


def _code_of(function: Any) -> CodeType | None:
    """Return the code that the user wrote, beneath decorators, partials and methods."""
    for _ in range(100):
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__func__"):
            function = function.__func__
        elif not hasattr(function, "__code__") and callable(function):
            function = type(function).__call__
        else:
            break
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _path_of(function: Any) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _file(code: CodeType) -> str:
    return os.path.realpath(code.co_filename)


def _place(code: CodeType) -> tuple[str, int, str]:
    return _file(code), code.co_firstlineno, code.co_qualname


def _running_body(code: CodeType) -> CodeType | None:
    """Return the outermost code in which `code` is defined and which is being run."""
    found = None
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        outer = frame.f_code
        if outer.co_filename == code.co_filename and any(inner is code for inner in _codes_in(outer)):
            found = outer
        frame = frame.f_back
    return found


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """Yield the codes of all functions and classes inside."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)
