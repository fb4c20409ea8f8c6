"""Workflows that are called, and so run here: their values, and what is awaited on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator

import pytest

from hotqueue.tasks import chain, chord, group
from tests.tasks.workflow.tasks import add, asquare, boom, queue, same, square, total


def test_each_kind_runs_here() -> None:
    assert (square.s(2) | add.s(3))() == 7
    assert group(square.s(n) for n in range(3))() == [0, 1, 4]
    assert group(add.s(1), add.s(2))(10) == [11, 12]
    assert chord([square.s(1), square.s(2)], total.s())() == 5
    assert chain(square.s(2), group(add.s(1), add.s(2)), total.s())() == 11
    assert chain(square.s(2), add.starmap([(1, 2), (3,)]), total.s())() == 6
    assert add.starmap([(1, 2)])(5) == [3]


def test_what_is_async_is_awaited_on_its_way() -> None:
    assert (asquare.s(2) | asquare.s() | add.s(1))() == 17
    assert group(asquare.s(2), square.s(3))() == [4, 9]
    assert chord([square.s(1), asquare.s(2)], total.s() | asquare.s())() == 25
    assert chord([asquare.s(2)], asquare.si(3))() == 9

    async def main() -> tuple[int, int]:
        return (asquare.s(2) | add.s(1))(), await asquare.s(3)()  # type: ignore[misc]

    assert asyncio.run(main()) == (5, 9)


def test_of_a_task_that_yields_others_are_given_what_it_returns() -> None:
    @queue.task
    def steps(n: int) -> Generator[int, None, int]:
        yield from range(n)
        return n * 10

    @queue.task
    async def asteps(n: int) -> AsyncIterator[int]:
        for each in range(n):
            yield each

    assert (steps.s(3) | add.s(1))() == 31
    assert (add.s(1, 1) | group(steps.s(), asteps.s()))() == [20, None]
    assert chord([steps.s(1), square.s(2)], total.s())() == 14
    assert list(steps.s(2)()) == [0, 1]  # called alone, it is as the function is
    with pytest.raises(TypeError):
        (asteps.s(1) | square.s())()


def test_an_error_is_the_callers() -> None:
    with pytest.raises(KeyError):
        chain(boom.s(), square.s())()
    assert chord([boom.s(), square.s(2)], total.s(), allow_failures=True)() == 4
    nested = chord([group(boom.s(), square.s(2), group(boom.s())), square.s(3), boom.s()], same.s(), allow_failures=True)
    assert nested() == ([[4, []], 9],)  # as from workers: tests/tasks/test_workflows.py
    with pytest.raises(KeyError):
        chord([boom.s(), square.s(2)], total.s())()
