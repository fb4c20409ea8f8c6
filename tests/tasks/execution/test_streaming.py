"""Driving a generator: each item to its outlet, what happens between two raised where it yielded, and its value at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from hotqueue.tasks.execution.streaming import adrain, drain


class Box:
    """An outlet that refuses some items, and is full for so many questions before each."""

    def __init__(self, refused: tuple[Any, ...] = (), full_for: int = 0, wrong: Exception | None = None) -> None:
        self.taken: list[Any] = []
        self.has_ended = False
        self._refused, self._full_for, self._asked, self._wrong = refused, full_for, 0, wrong

    @property
    def is_full(self) -> bool:
        self._asked += 1
        return self._asked % (self._full_for + 1) != 0

    @property
    def is_done(self) -> bool:
        return self.has_ended

    def put(self, value: Any) -> None:
        if value in self._refused:
            raise ValueError(f"not {value}")
        self.taken.append(value)

    def end(self) -> None:
        self.has_ended = True

    def check(self) -> None:
        if self._wrong is not None:
            raise self._wrong


def items() -> Iterator[Any]:
    try:
        yield 1
        yield 2
    except ValueError as error:
        yield str(error)
    return "value"


async def aitems() -> AsyncIterator[Any]:
    try:
        yield 1
        yield 2
    except ValueError as error:
        yield str(error)


async def _adrained(box: Box) -> Any:
    await adrain(aitems(), box)  # type: ignore[arg-type]
    return "value"


WAYS: dict[str, Callable[[Box], Any]] = {
    "def": lambda box: drain(items(), box),  # type: ignore[arg-type]
    "async def": lambda box: asyncio.run(_adrained(box)),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_item_goes_out_and_the_value_is_returned(way: str) -> None:
    box = Box()
    assert (WAYS[way](box), box.taken, box.has_ended) == ("value", [1, 2], True)


@pytest.mark.parametrize("way", WAYS)
def test_a_full_outlet_is_waited_for(way: str) -> None:
    box = Box(full_for=5)
    assert (WAYS[way](box), box.taken) == ("value", [1, 2])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refused", [1, 2])
def test_what_is_refused_is_raised_where_it_was_yielded(way: str, refused: int) -> None:
    box = Box(refused=(refused,))
    WAYS[way](box)
    assert box.taken == [*range(1, refused), f"not {refused}"]


@pytest.mark.parametrize("way", WAYS)
def test_what_the_task_does_not_catch_leaves_it_and_the_outlet_is_ended(way: str) -> None:
    box = Box(refused=(1, "not 1"))
    with pytest.raises(ValueError, match="not not 1"):
        WAYS[way](box)
    assert (box.taken, box.has_ended) == ([], True)


@pytest.mark.parametrize("way", WAYS)
def test_what_an_item_met_after_the_last_one_is_raised(way: str) -> None:
    with pytest.raises(OSError, match="late"):
        WAYS[way](Box(wrong=OSError("late")))
