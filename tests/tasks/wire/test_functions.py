"""What travels by name and what by value."""

from __future__ import annotations

import math
import os.path
import subprocess
import sys
import types
from functools import partial
from typing import Any

import pytest

from hotqueue.tasks.wire.functions import module_of, name_of, needs_value
from tests.support.processes import environment


def importable() -> None: ...


class Holder:
    @staticmethod
    def static() -> None: ...


def _nested() -> Any:
    def inner() -> None: ...

    return inner


def _orphan() -> Any:
    function = types.FunctionType(importable.__code__, {}, "orphan")
    function.__module__, function.__qualname__ = "no.such.module", "orphan"
    return function


@pytest.mark.parametrize("function", [importable, Holder.static, math.sqrt, os.path.join, len])
def test_what_a_worker_can_import_travels_by_name(function: Any) -> None:
    assert not needs_value(function)


@pytest.mark.parametrize(
    "function", [lambda: 1, _nested(), _orphan(), partial(importable)], ids=["lambda", "local", "orphan", "partial"]
)
def test_what_it_cannot_travels_by_value(function: Any) -> None:
    assert needs_value(function)


def test_a_name_that_leads_to_something_else_is_no_name() -> None:
    impostor = types.FunctionType(importable.__code__, {}, "importable")
    impostor.__module__, impostor.__qualname__ = __name__, "importable"
    assert needs_value(impostor)


def test_names() -> None:
    assert name_of(importable) == f"{__name__}.importable"
    assert name_of(Holder.static) == f"{__name__}.Holder.static"
    assert module_of(math.sqrt) == "math"


SCRIPT = "from hotqueue.tasks.wire.functions import *\ndef f(): ...\nprint(name_of(f), needs_value(f))"


@pytest.mark.parametrize(
    ("file", "arguments", "wanted"),
    [
        ("shop.py", ["shop.py"], "shop.f False"),
        ("pkg/sub.py", ["-m", "pkg.sub"], "pkg.sub.f False"),
        ("not-a-name.py", ["not-a-name.py"], "__main__.f True"),
        (None, ["-c", SCRIPT], "__main__.f True"),
        (None, ["-"], "__main__.f True"),
    ],
    ids=["script", "module", "odd name", "-c", "stdin"],
)
def test_what_runs_as_main_goes_by_the_name_under_which_others_can_import_it(
    tmp_path: Any, file: str | None, arguments: list[str], wanted: str
) -> None:
    if file:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(SCRIPT)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, input=SCRIPT, cwd=tmp_path, env=environment(), text=True, capture_output=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (wanted, "")
