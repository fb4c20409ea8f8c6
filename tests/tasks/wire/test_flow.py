"""The arguments of a step, made of what came before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hotqueue.tasks.wire import flow


@pytest.mark.parametrize(
    ("takes", "values", "expected"),
    [
        (0, ["a"], ("a", 1, 2)),
        ("*", ["a", "b"], (["a", "b"], 1, 2)),
        ("*", ["a", flow.MISSING], (["a"], 1, 2)),
        ([[0, 1], 2], ["a", "b", "c"], ([["a", "b"], "c"], 1, 2)),
        ([[0, 1], 2, []], [flow.MISSING, "b", "c"], ([["b"], "c", []], 1, 2)),
        (0, [flow.MISSING], (1, 2)),
    ],
)
def test_the_value_goes_in_front(takes: Any, values: list[Any], expected: tuple[Any, ...]) -> None:
    assert flow.arguments({"takes": takes}, (1, 2), values) == expected


def test_or_behind_the_first_few() -> None:
    assert flow.arguments({"takes": 0, "at": 1}, (1, 2), ["a"]) == (1, "a", 2)


def test_an_errback_is_told_which_task_failed() -> None:
    error = OSError("no")
    request, *rest = flow.of_errback({"of": {"x": "shop.price"}, "root": "r"}, ("more",), "x", error, "trace")
    assert (request.id, request.task, request.root_id, rest) == ("x", "shop.price", "r", [error, "trace", "more"])
    assert repr(request) == "<FailedRequest of task x, shop.price>"
    unknown = flow.of_errback({}, (), "x", error, "")[0]
    assert (unknown.task, unknown.root_id) == ("", "x")


def test_a_function_is_called_for_each_item() -> None:
    async def add(a: int, b: int, c: int = 0) -> int:
        return a + b + c

    assert flow.for_each(max, False)([(1, 2), (5, 3)]) == [2, 5]
    assert flow.for_each(max, False)(4, [(1, 2), (5, 3)]) == [4, 5]
    assert asyncio.run(flow.for_each(add, True)(1, [(1,), (2, 3)])) == [2, 6]
