"""Pausing from a program: what of a queue is meant, checked, and said to the broker. Why it is so: docs/decisions/0054."""

from __future__ import annotations

import logging
from typing import Any

from hotqueue.hints import did_you_mean
from hotqueue.tasks.client.method import TaskMethod
from hotqueue.tasks.client.registry import Registry, is_task_name
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.rules.call_keys import KEY_BYTES, is_key

log = logging.getLogger("hotqueue")


def pause(registry: Registry, task: Any, key: Any) -> None:
    """Pause a queue, the tasks of a name, or those of a gate's key; see `HotQueue.pause`."""
    _check_one(task, key, "queue.pause()")
    if key is not None:
        registry.broker.pause_key(checked_key(key, "queue.pause() key="))
        registry.broker.wait_for_what_is_in_hand(f"k:{key}")
        return
    name = task_name(task, "queue.pause() task=")
    registry.broker.pause(name)
    if name and name not in registry.tasks and (hint := did_you_mean(name, registry.tasks)):
        log.warning("queue %r: paused task %r, which is not defined here%s", registry.name, name, hint)


def resume(registry: Registry, task: Any, key: Any) -> None:
    """Undo the same `pause`."""
    _check_one(task, key, "queue.resume()")
    if key is not None:
        registry.broker.resume_key(checked_key(key, "queue.resume() key="))
        return
    registry.broker.resume(task_name(task, "queue.resume() task="))


def checked_key(key: Any, where: str) -> str:
    """Return `key` when a gate can have it.

    Raises:
        TypeError, ValueError: none can.
    """
    if not isinstance(key, str):
        raise TypeError(f"{where} takes a str that concurrency_key=, rate_limit_key= or fair_key= makes, not {key!r:.80}")
    if not is_key(key):
        raise ValueError(f"{where} takes 1 to {KEY_BYTES} bytes (as UTF-8) without NUL or newline, not {key!r:.80}")
    return key


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
