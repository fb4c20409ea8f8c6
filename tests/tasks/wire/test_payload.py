"""Arguments, functions and results, there and back; exceptions have a file of their own."""

from __future__ import annotations

import datetime
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hotqueue.errors import SerializationError
from hotqueue.tasks.wire import payload
from hotqueue.tasks.wire.payload import Portable
from tests.support.processes import ROOT, run_python


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        "é",
        b"\0",
        (1, [2, {"a": (3,)}]),
        {"x": [[[[[1]]]]]},
        list(range(500)),
        {1, 2},
        Point(3),
        datetime.date(2030, 1, 1),
        {(1, 2): 3},
    ],
    ids=repr,
)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert payload.loads(payload.dumps(value)) == value


def test_functions_go_by_value_where_plain_pickle_cannot() -> None:
    offset = 5
    assert payload.loads(payload.dumps(lambda x: x + offset))(1) == 6


def test_a_subclass_of_a_builtin_keeps_its_class() -> None:
    class Tagged(str):
        pass

    assert type(payload.loads(payload.dumps([Tagged("a")]))[0]).__name__ == "Tagged"


@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [((1, threading.Lock()), {}, "argument 2 of my.task"), ((), {"conn": threading.Lock()}, "argument conn= of my.task")],
)
def test_an_argument_that_cannot_travel_is_named(args: Any, kwargs: Any, place: str) -> None:
    with pytest.raises(SerializationError, match=rf"{place} cannot travel .*lock.*cannot be pickled"):
        payload.dumps_call("my.task", args, kwargs)


def test_a_function_that_cannot_travel_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(
        SerializationError, match=r"something that it uses, or is bound to, cannot be pickled .*; have it make that itself"
    ):
        payload.dumps_call("my.task", (), {}, Portable(lambda: lock))


def test_an_argument_nested_too_deeply_is_an_error_not_a_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match=r"argument 1 of my.task cannot travel .*deep"):
        payload.dumps_call("my.task", (deep,), {})
    while deep:  # freed step by step
        deep = deep.pop()


def test_a_call_by_value_brings_its_function_and_its_retry_classes() -> None:
    data = payload.dumps_call("t", (1,), {"b": 2}, Portable(lambda a, b: a + b, False, (OSError,)))
    function, call = payload.split_by_value(data)
    assert payload.loads(call) == ((1,), {"b": 2})
    found = payload.loads_portable(function)
    assert (found.function(1, 2), found.autoretry_for) == (3, (OSError,))
    assert payload.loads_portable(function) is found


def test_a_function_of_the_users_own_module_needs_none_of_its_code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("FACTOR = 3\ndef helper(x):\n    return x * FACTOR\ndef f(x):\n    return helper(x) + 1\n")
    dump = "import own; from hotqueue.tasks.wire import payload as p; print(p.dumps_call('f', (4,), {}, p.Portable(own.f)).hex())"
    data = run_python(dump, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}).stdout
    function, call = payload.split_by_value(bytes.fromhex(data))
    args, _ = payload.loads(call)
    assert payload.loads_portable(function).function(*args) == 13
    assert "own" not in sys.modules
