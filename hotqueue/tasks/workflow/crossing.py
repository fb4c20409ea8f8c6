"""Crossing: what a program does about the steps of a workflow that are of other queues than its own: it looks, and brings.

How they go there and back is in broker/crossing.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from hotqueue.errors import STORE_ERRORS, ConfigError, UnknownTask
from hotqueue.runtime import testing_mode
from hotqueue.tasks.client.client import Client
from hotqueue.tasks.wire.plan import Step


def check_elsewhere(client: Client, home: str, steps: Iterable[Step]) -> None:
    """Refuse steps that wait for tasks of other queues which are unknown there.

    Raises:
        UnknownTask: one is.
        ConfigError: inside of `queue.testing()`, where queues tell each other nothing.
    """
    for task_id, queue in dict.fromkeys(each for step in steps for each in step.elsewhere if each[1] != home):
        if testing_mode.sandbox is not None:
            raise ConfigError(
                f"depends_on= names task {task_id} of queue {queue!r}: inside queue.testing() it takes results of {home!r}"
            )
        if client.broker_of(queue).look(task_id).where == "unknown":
            raise UnknownTask(f"depends_on= names task {task_id}, which is unknown in queue {queue!r}, or its result has expired")


def begins_elsewhere(home: str, steps: Sequence[Step]) -> bool:
    """Tell whether something goes to another queue when a workflow is sent."""
    return any((step.queue != home and not step.needs) or any(each[1] != home for each in step.elsewhere) for step in steps)


def bring(broker: Any) -> None:
    """Bring what a queue has for others, and what these answer at once; what cannot be brought now, a supervisor brings later."""
    if testing_mode.sandbox is not None:
        return
    from hotqueue.tasks.broker.relay import relay  # it imports redis

    with contextlib.suppress(*STORE_ERRORS):
        relay(broker)
