"""A call's payload: what cannot travel is named, and a function that travels by value brings what it uses."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hotqueue.errors import SerializationError
from hotqueue.tasks.wire import payload
from hotqueue.tasks.wire.call import Portable, dumps_call, loads_portable, split_by_value
from tests.support.processes import ROOT, run_python


@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [((1, threading.Lock()), {}, "argument 2 of my.task"), ((), {"conn": threading.Lock()}, "argument conn= of my.task")],
)
def test_an_argument_that_cannot_travel_is_named(args: Any, kwargs: Any, place: str) -> None:
    with pytest.raises(SerializationError, match=rf"{place} cannot travel .*lock.*cannot be pickled"):
        dumps_call("my.task", args, kwargs)


def test_a_function_that_cannot_travel_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(
        SerializationError, match=r"something that it uses, or is bound to, cannot be pickled .*; have it make that itself"
    ):
        dumps_call("my.task", (), {}, Portable(lambda: lock))


def test_an_argument_nested_too_deeply_is_an_error_not_a_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match=r"argument 1 of my.task cannot travel .*deep"):
        dumps_call("my.task", (deep,), {})
    while deep:  # freed step by step
        deep = deep.pop()


def test_a_call_by_value_brings_its_function_and_its_retry_classes() -> None:
    data = dumps_call("t", (1,), {"b": 2}, Portable(lambda a, b: a + b, False, (OSError,)))
    function, call = split_by_value(data)
    assert payload.loads(call) == ((1,), {"b": 2})
    found = loads_portable(function)
    assert (found.function(1, 2), found.autoretry_for) == (3, (OSError,))
    assert loads_portable(function) is found


def test_what_has_a_state_is_made_anew_for_each_call() -> None:
    """Calls that go on at a time would change it under each other's hands, and later ones find what earlier ones left."""
    function, _ = split_by_value(dumps_call("t", (), {}, Portable([].append)))
    assert loads_portable(function).function is not loads_portable(function).function


def test_a_function_of_the_users_own_module_needs_none_of_its_code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("FACTOR = 3\ndef helper(x):\n    return x * FACTOR\ndef f(x):\n    return helper(x) + 1\n")
    dump = "import own; from hotqueue.tasks.wire import call as c; print(c.dumps_call('f', (4,), {}, c.Portable(own.f)).hex())"
    data = run_python(dump, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}).stdout
    function, call = split_by_value(bytes.fromhex(data))
    args, _ = payload.loads(call)
    assert loads_portable(function).function(*args) == 13
    assert "own" not in sys.modules
