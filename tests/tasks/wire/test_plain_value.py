"""Plain data is shown as it was; what would have to be imported, or is cut, or is no pickle, is not shown and not run."""

from __future__ import annotations

import pickle
import random
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import pytest

from hotqueue.tasks.wire import payload
from hotqueue.tasks.wire.plain_value import plain_text

TWICE = ["x", 1]
PLAIN: list[Any] = [
    *(None, True, False, 0, 255, 65535, -1, 2**31, 2**70, -(2**70), 1.5, "", "ü ✓", "y" * 300, b"", b"abc", [], (), {}),
    *([1, [2, [3]]], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"a": {"b": [1]}}, {1, 2}, [TWICE, TWICE], list(range(15))),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_plain_data_reads_as_it_is(value: Any, protocol: int) -> None:
    as_it_is = None if protocol == 2 and isinstance(value, bytes | set) else repr(value)  # which that makes by calls
    assert plain_text(pickle.dumps(value, protocol)) == as_it_is


def test_as_results_are_stored() -> None:
    assert plain_text(payload.dumps({"total": 16, "of": [4, 4]})) == "{'of': [4, 4], 'total': 16}"
    assert plain_text(payload.dumps(frozenset([7]))) == "frozenset({7})"


def boom() -> None:
    raise AssertionError("this was called")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return boom, ()


@pytest.mark.parametrize("value", [Bomb(), [1, Bomb()], datetime.now(UTC), OrderedDict(a=1), print, ValueError("x"), 1j])
def test_what_would_have_to_be_imported_is_not_shown(value: Any) -> None:
    assert plain_text(pickle.dumps(value)) is None


def test_junk_is_nothing_and_harmless() -> None:
    data, dice = pickle.dumps(PLAIN), random.Random(3)
    for _ in range(3000):
        junk = bytearray(data)
        for _ in range(dice.randrange(1, 6)):
            junk[dice.randrange(len(junk))] = dice.randrange(256)
        plain_text(bytes(junk[: dice.randrange(len(junk))]))
    nested: Any = []
    for _ in range(60):
        nested = [nested, nested]
    said = plain_text(pickle.dumps(nested))  # 2 ** 60 lists, if somebody wrote them all
    assert said is not None
    assert len(said) < 10_000
