"""Tasks over a queue: the public names, each imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotqueue.errors import Ignore, Reject, Retry
    from hotqueue.tasks.context import TaskFilter, current_task
    from hotqueue.tasks.registry import DeadTask
    from hotqueue.tasks.result import AsyncResult, UnknownTask
    from hotqueue.tasks.result_set import ResultSet
    from hotqueue.tasks.rules.lifecycle import State
    from hotqueue.tasks.task import Task

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
    "AsyncResult": "result",
    "DeadTask": "registry",
    "ResultSet": "result_set",
    "State": "rules.lifecycle",
    "Task": "task",
    "TaskFilter": "context",
    "UnknownTask": "result",
    "current_task": "context",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hotqueue.tasks' has no attribute {name!r}")
    home = f"hotqueue.tasks.{_HOMES[name]}" if name in _HOMES else "hotqueue.errors"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
