"""Values there and back; calls and exceptions have files of their own."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import pytest

from hotqueue.tasks.wire import payload


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
    assert payload.loads_all([payload.dumps(1), payload.dumps(lambda x: x)])[0] == 1
    assert payload.loads(payload.dumps(lambda x: x + offset))(1) == 6


def test_a_subclass_of_a_builtin_keeps_its_class() -> None:
    class Tagged(str):
        pass

    assert type(payload.loads(payload.dumps([Tagged("a")]))[0]).__name__ == "Tagged"


def test_an_error_is_described_without_being_made() -> None:
    data = payload.dumps_error(OSError("no such file"))
    assert payload.describe_error(data)[:2] == ("OSError", "no such file")
    assert repr(payload.loads_error(data)) == "OSError('no such file')"
