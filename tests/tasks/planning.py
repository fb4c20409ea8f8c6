"""Workflows as their parts are sent: steps of real tasks, without the signatures that programs make them of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotqueue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.wire.plan import FAILURE, SUCCESS, Step


def step_of(
    task: Any,
    name: str,
    args: Sequence[Any] = (),
    needs: Sequence[str] = (),
    takes: Any = None,
    when: str = SUCCESS,
    due: str = "",
) -> Step:
    """Return a step that calls a task with what it takes, and `args` behind that."""
    definition = definition_of(task)
    flow: dict[str, Any] = {"root": "w"}
    if takes is not None:
        flow |= {"takes": takes, "needs": list(needs)}
    if when == FAILURE:
        flow |= {"of": {}, "needs": list(needs)}
    queue = definition.client.name
    data = definition.encode(name, tuple(args), {}, definition.options, queue, {"flow": flow})
    return Step(name, queue, data, due, "", tuple(needs), when, takes is not None)


def send(queue: HotQueue, *steps: Step, workflow: str = "w") -> list[AsyncResult[Any]]:
    """Send a workflow; return the handles of its steps."""
    Broker(queue._store, queue.name).enqueue_plan(workflow, steps, b"words")
    return [queue.result(step.id) for step in steps]
