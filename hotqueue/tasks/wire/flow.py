"""Flow: what a step of a workflow says in its call header of the steps before it, and its arguments, made of their ends. Pure.

``needs``: ids of these steps. ``takes``: of which of them a value is made that goes in front of the arguments: the place of one
among the needs, a list of such, or ``"*"``, all of them in order; ``at``: behind how many of the arguments it goes. Of an errback
``of`` instead: the names of their tasks. ``root`` and ``parent``: ids, for `request`. ``star``: the function is called for each
item of the argument. ``from``: the queues of those needs that are of another queue than the step: there it was signed what they
returned. ``replaced``: how often tasks were replaced, one by the other, until it came.
``step``: its number in the workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MISSING = object()  # stands for the value of a step that has none to give: it failed, and the others do without it


class FailedRequest:
    """The task that failed, as an errback is told of it.

    Attributes:
        id: the task's.
        task: its name; "" where that is not known any more.
        root_id: of its workflow, see `request.root_id`.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, id: str, task: str, root_id: str) -> None:
        self.id = id
        self.task = task
        self.root_id = root_id

    def __repr__(self) -> str:
        return f"<FailedRequest of task {self.id}, {self.task or 'of an unknown name'}>"


def arguments(flow: Mapping[str, Any], args: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the positional arguments of a step, given the values of its needs in order."""
    takes = flow["takes"]
    value = [each for each in values if each is not MISSING] if takes == "*" else _made(takes, values)
    return _behind(flow, args, () if value is MISSING else (value,))


def of_errback(
    flow: Mapping[str, Any], args: Sequence[Any], failed: str, error: BaseException, traceback: str
) -> tuple[Any, ...]:
    """Return the positional arguments of an errback.

    Args:
        failed: the id of the task that failed.
    """
    request = FailedRequest(failed, flow.get("of", {}).get(failed, ""), flow.get("root", failed))
    return _behind(flow, args, (request, error, traceback))


def for_each(function: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    """Return what calls a function once for each item of its last argument; the arguments before that go with each call."""

    def each(*args: Any) -> Any:
        calls: Iterable[Any] = args[-1]
        return [function(*args[:-1], *call) for call in calls]

    async def aeach(*args: Any) -> Any:
        calls: Iterable[Any] = args[-1]
        return [await function(*args[:-1], *call) for call in calls]

    return aeach if is_async else each


def _made(takes: Any, values: Sequence[Any]) -> Any:
    if not isinstance(takes, list):
        return values[takes]
    return [value for value in (_made(each, values) for each in takes) if value is not MISSING]


def _behind(flow: Mapping[str, Any], args: Sequence[Any], values: tuple[Any, ...]) -> tuple[Any, ...]:
    at = flow.get("at", 0)
    return (*args[:at], *values, *args[at:])
