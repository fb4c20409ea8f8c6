"""Tasks whose code is somewhere else."""

from __future__ import annotations

from typing import Any

from hotqueue import HotQueue
from hotqueue.tasks.client.definition import definition_of


def task_by_name(queue: HotQueue, name: str, is_async: bool = False) -> Any:
    """Return a task as a caller has it that has none of the code: its calls go by name, with any arguments."""

    def stub(*_args: Any, **_kwargs: Any) -> None: ...

    task = queue.task(name=name)(stub)
    definition_of(task).by_value, definition_of(task).is_async = False, is_async
    return task
