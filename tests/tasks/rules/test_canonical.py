"""Canonical: equal values have one text, in whatever process; others have others; what has none is named."""

from __future__ import annotations

import enum
import inspect
import random
import re
import threading
import uuid
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hotqueue.tasks.rules import canonical
from tests.support.processes import run_python


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: int
    tags: set[str] = field(default_factory=set)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def shuffled(values: Any) -> list[Any]:
    return random.sample(list(values), len(list(values)))


NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
EQUAL: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (10**5000, 10**5000),
    ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
    (set("abcdefgh"), set(shuffled("abcdefgh"))),
    (frozenset("ab"), {"b", "a"}),
    (NOON, NOON.astimezone(ZoneInfo("Europe/Paris"))),
    (NOON, NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))),
    (Point(1, {"x", "y", "z"}), Point(1, {"z", "y", "x"})),
    (Slotted({1: 2, 3: 4}), Slotted({3: 4, 1: 2})),
    (["same", "same"], ["".join(["sa", "me"]), "same"]),
    (float("nan"), float("nan")),
    (Counter("abc"), Counter("cba")),
]
APART: list[Any] = [
    *(None, 0, 1, 1.5, 2, -1, "1", b"1", bytearray(b"1"), "", [], (), set(), {}, [1], (1,), {1}, {1: 1}, [[1]], [1, 1], {1: [1]}),
    *("ab", ["ab"], ["a", "b"], [["a"], "b"], ["a", ["b"]], {"a": "b"}, float("inf"), -float("inf"), 1e300, 1e-300, 2**64),
    *(NOON, NOON + timedelta(microseconds=1), NOON.replace(tzinfo=None), date(2026, 11, 29), timedelta(1)),
    *(uuid.UUID(int=1), uuid.UUID(int=2), Decimal("1.0"), Decimal("1.00"), Colour.RED, Colour.BLUE, PurePosixPath("a")),
    *(Point(1), Point(2), Point(1, {"x"}), Slotted(1), Slotted("1"), OrderedDict(a=1), re.compile("a"), re.compile("a", re.I)),
    *(int, str, len, dict.fromkeys, Point, partial(int, "1"), partial(int, "2"), ZoneInfo("Europe/Paris"), ZoneInfo("UTC"), 1j),
    *(range(3), range(4), ValueError("x"), KeyError("x"), ["x"].append, ["y"].append),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=range(len(EQUAL)))
def test_what_is_equal_has_one_text(one: Any, other: Any) -> None:
    assert canonical.of(one) == canonical.of(other)


def test_what_is_not_has_others() -> None:
    texts: dict[bytes, Any] = {}
    for value in APART:
        other = texts.setdefault(canonical.of(value), value)
        assert other is value, (other, value)


def bound(function: Any, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    found = inspect.signature(function).bind(*args, **kwargs)
    found.apply_defaults()
    return found


def call(a: Any, b: Any = 2, *rest: Any, c: Any = 3, **more: Any) -> None: ...


def test_calls_with_equal_arguments_have_one_digest_however_they_are_given() -> None:
    assert canonical.digest(bound(call, 1)) == canonical.digest(bound(call, b=2, a=1, c=3.0))
    assert canonical.digest(bound(call, 1, x=1, y=2)) == canonical.digest(bound(call, 1, y=2, x=1))
    digests = [canonical.digest(each) for each in (bound(call, 1), bound(call, 2), bound(call, 1, 2, 3), bound(call, 1, x=3))]
    assert len(set(digests)) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", digest) for digest in digests)


def test_another_process_makes_the_same() -> None:
    text = "{'a', 'b', 'c', 'd', 'e'}, {'x': frozenset('abcdef'), 'y': Decimal('1.5')}, datetime(2026, 1, 1)"
    head = "from datetime import datetime; from decimal import Decimal; from hotqueue.tasks.rules import canonical; "
    made = {run_python(f"{head}print(canonical.of(({text})).hex())", env={"PYTHONHASHSEED": seed}).stdout for seed in "123"}
    assert len(made) == 1


class Awkward:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("not today")


def endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: 0, r"argument 'a' is, or holds, <lambda>, which has no name that is the same everywhere"),
        ([{"x": threading.Lock()}], "argument 'a' is, or holds, a lock, which cannot be compared: cannot pickle"),
        ((n for n in "ab"), "a generator, which cannot be compared"),
        (Awkward(), "a Awkward, which cannot be compared: not today"),
        (endless(), "argument 'a' is nested too deeply, or holds itself"),
    ],
)
def test_what_has_no_such_text_is_named(value: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        canonical.digest(bound(call, value))
