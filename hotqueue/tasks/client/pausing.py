"""Pausing from a program: what of a queue is meant, checked, and said to the broker. Why it is so: docs/decisions/0054."""

from __future__ import annotations

import logging
from typing import Any

from hotqueue.hints import did_you_mean
from hotqueue.tasks.client.method import TaskMethod
from hotqueue.tasks.client.registry import Registry, is_task_name
from hotqueue.tasks.client.task import Task

log = logging.getLogger("hotqueue")


def pause(registry: Registry, task: Any, key: Any) -> None:
    """Pause a queue, the tasks of a name, or those of a gate's key; see `HotQueue.pause`."""
    _check_one(task, key, "queue.pause()")
    name = task_name(task, "queue.pause() task=")
    registry.broker.pause(name)
    if name and name not in registry.tasks and (hint := did_you_mean(name, registry.tasks)):
        log.warning("queue %r: paused task %r, which is not defined here%s", registry.name, name, hint)


def resume(registry: Registry, task: Any, key: Any) -> None:
    """Undo the same `pause`."""
    _check_one(task, key, "queue.resume()")
    registry.broker.resume(task_name(task, "queue.resume() task="))


def task_name(task: Any, where: str) -> str:
    """Return the name that is meant by a task or its name; "" for None.

    Raises:
        TypeError: it is neither.
    """
    if task is None:
        return ""
    name = task.name if isinstance(task, Task | TaskMethod) else task
    if not is_task_name(name):
        raise TypeError(f"{where} takes a task, or its name such as 'shop.price', not {task!r:.80}")
    return str(name)


def _check_one(task: Any, key: Any, where: str) -> None:
    if task is not None and key is not None:
        raise TypeError(f"{where} got both task= and key=; call it once for each")
