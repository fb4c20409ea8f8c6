"""Arguments, functions, results and exceptions, there and back."""

from __future__ import annotations

import datetime
import pickle
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hotqueue.errors import RemoteError, RemoteTraceback, SerializationError
from hotqueue.tasks import payload
from hotqueue.tasks.payload import Portable
from tests.processes import ROOT, run_python


@dataclass
class Point:
    x: int


class NeedsTwo(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class Reducible(Exception):
    def __init__(self, code: int, *, extra: str) -> None:
        super().__init__(code)
        self.extra = extra

    def __reduce__(self) -> Any:
        return (_reducible, (self.args[0], self.extra))


def _reducible(code: int, extra: str) -> Reducible:
    return Reducible(code, extra=extra)


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Lying(Exception):
    def __reduce__(self) -> Any:
        return (ValueError, ("somebody else",))


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def there_and_back(error: BaseException) -> BaseException:
    return payload.loads_error(payload.dumps_error(raised(error)))


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


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 1),
        KeyError("k"),
        OSError(2, "no file", "x"),
        Reducible(3, extra="e"),
        SystemExit(4),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_exception_arrives_as_itself(error: BaseException) -> None:
    found = there_and_back(error)
    assert (type(found), found.args, vars(found)) == (type(error), error.args, vars(error))


def test_attributes_and_notes_travel() -> None:
    error = ValueError("x")
    error.code = 7  # type: ignore[attr-defined]
    error.add_note("look here")
    found = there_and_back(error)
    assert (found.code, found.__notes__) == (7, ["look here"])  # type: ignore[attr-defined]


def test_the_remote_traceback_is_the_cause_nested_causes_included() -> None:
    found = payload.loads_error(payload.dumps_error(raised(ValueError("outer"), raised(KeyError("inner")))))
    assert isinstance(found.__cause__, RemoteTraceback)
    text = str(found.__cause__)
    assert text.index("KeyError: 'inner'") < text.index("direct cause") < text.index("ValueError: outer")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Unpicklable(), "holds a lock"),
        (NeedsTwo(1, 2), "1 and 2"),
        (Lying("x"), "x"),
        (ValueError("x" * 3_000_000), "x" * payload.MESSAGE_MAX + "…"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_one_that_cannot_travel_arrives_as_a_remote_error(error: Exception, message: str) -> None:
    found = there_and_back(error)
    assert isinstance(found, RemoteError)
    assert found.class_path.rpartition(".")[2] == type(error).__name__
    assert found.message == message
    assert type(error).__name__ in found.traceback
    assert len(found.traceback) <= payload.TRACEBACK_MAX + 2


def test_one_whose_str_raises_is_no_trouble() -> None:
    data = payload.dumps_error(raised(BadStr()))
    assert payload.describe_error(data)[1] == "<its __str__ raised RuntimeError>"
    assert isinstance(payload.loads_error(data), BadStr)


def test_one_whose_class_is_not_known_here_arrives_as_a_remote_error() -> None:
    path, message, trace, portable = pickle.loads(payload.dumps_error(raised(Reducible(1, extra="e"))))
    renamed = portable.replace(b"_reducible", b"_not_there")
    found = payload.loads_error(pickle.dumps((path, message, trace, renamed)))
    assert isinstance(found, RemoteError)


def test_our_own_frames_are_left_out_of_the_traceback() -> None:
    def ours() -> None:
        theirs()

    def theirs() -> None:
        raise ValueError

    try:
        ours()
    except ValueError as error:
        text = payload.format_traceback(error, skip=2)
    assert "in theirs" in text
    assert "in ours" not in text


@pytest.mark.parametrize(("error", "path"), [(ValueError(), "ValueError"), (NeedsTwo(1, 2), f"{__name__}.NeedsTwo")])
def test_class_paths(error: Exception, path: str) -> None:
    assert payload.class_path(error) == path


def test_a_function_of_the_users_own_module_needs_none_of_its_code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("FACTOR = 3\ndef helper(x):\n    return x * FACTOR\ndef f(x):\n    return helper(x) + 1\n")
    dump = "import own; from hotqueue.tasks import payload as p; print(p.dumps_call('f', (4,), {}, p.Portable(own.f)).hex())"
    data = run_python(dump, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}).stdout
    function, call = payload.split_by_value(bytes.fromhex(data))
    args, _ = payload.loads(call)
    assert payload.loads_portable(function).function(*args) == 13
    assert "own" not in sys.modules
