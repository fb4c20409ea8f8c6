"""Tasks over a queue: the public names, each imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotqueue.errors import Ignore, Reject, Retry
    from hotqueue.tasks.client.registry import DeadTask
    from hotqueue.tasks.client.result import AsyncResult, UnknownTask
    from hotqueue.tasks.client.resultset import ResultSet
    from hotqueue.tasks.client.task import Task
    from hotqueue.tasks.context import TaskFilter, current_task
    from hotqueue.tasks.rules.lifecycle import State

__all__ = [
    "AsyncResult",
    "DeadTask",
    "Ignore",
    "Reject",
    "ResultSet",
    "Retry",
    "State",
    "Task",
    "TaskFilter",
    "UnknownTask",
    "current_task",
]

_HOMES = {
    "AsyncResult": "client.result",
    "DeadTask": "client.registry",
    "ResultSet": "client.resultset",
    "State": "rules.lifecycle",
    "Task": "client.task",
    "TaskFilter": "context",
    "UnknownTask": "client.result",
    "current_task": "context",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hotqueue.tasks' has no attribute {name!r}")
    home = f"hotqueue.tasks.{_HOMES[name]}" if name in _HOMES else "hotqueue.errors"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
