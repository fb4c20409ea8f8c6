"""Sending: a signature is compiled, stored in one go, and what `delay` returns is made of its steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hotqueue.errors import DuplicateTask
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.arguments import checked_args, checked_kwargs
from hotqueue.tasks.client.calls import ReadyToSend, ready_to_send
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.workflow import crossing
from hotqueue.tasks.workflow.form import Form
from hotqueue.tasks.workflow.graph import Graph
from hotqueue.tasks.workflow.nothing import Nothing
from hotqueue.tasks.workflow.plan import Planning, Shape, compiled
from hotqueue.tasks.workflow.results import result_of
from hotqueue.tasks.workflow.task_form import TaskForm

WHERE = "apply_async() of a signature"


def send(form: Form, args: Any, kwargs: Any) -> Any:
    """Send what a form is of; return its result, or results."""
    args, kwargs = checked_args(args, WHERE, True), checked_kwargs(kwargs, WHERE, True)
    if isinstance(form, TaskForm) and form.is_alone:
        call = _call(form, args, kwargs)
        form.definition.client.send(call.queue, [call.task], call.handles)
        return call.result
    return _send_planned(form, args, kwargs)


def _send_planned(form: Form, args: Any, kwargs: Any, *, is_anew: bool = False) -> Any:
    planning, shape = compiled(form, args, kwargs, is_anew)
    if planning.client is None:
        return _nothing(shape)
    found = graph_of(planning, shape)
    crossing.check_elsewhere(planning.client, found.home, planning.steps)
    broker = planning.client.broker_of(found.home)
    try:
        broker.enqueue_plan(found.id, planning.steps, found.encode(), planning.stays_ms)
    except DuplicateTask as error:
        if is_anew or not planning.is_forgotten(error):
            raise
        return _send_planned(form, args, kwargs, is_anew=True)
    if crossing.begins_elsewhere(found.home, planning.steps):
        crossing.bring(broker)
    return result_of(planning.client, found, shape)


async def asend(form: Form, args: Any, kwargs: Any) -> Any:
    """Asyncio twin of `send`."""
    args, kwargs = checked_args(args, WHERE, True), checked_kwargs(kwargs, WHERE, True)
    if isinstance(form, TaskForm) and form.is_alone:
        call = _call(form, args, kwargs)
        await form.definition.client.asend(call.queue, [call.task], call.handles)
        return call.result
    return await _asend_planned(form, args, kwargs)


async def _asend_planned(form: Form, args: Any, kwargs: Any, *, is_anew: bool = False) -> Any:
    planning, shape = compiled(form, args, kwargs, is_anew)
    if planning.client is None:
        return _nothing(shape)
    found = graph_of(planning, shape)
    if any(step.elsewhere for step in planning.steps):
        await in_thread(crossing.check_elsewhere, planning.client, found.home, planning.steps)
    broker = planning.client.broker_of(found.home)
    try:
        await broker.aenqueue_plan(found.id, planning.steps, found.encode(), planning.stays_ms)
    except DuplicateTask as error:
        if is_anew or not planning.is_forgotten(error):
            raise
        return await _asend_planned(form, args, kwargs, is_anew=True)
    if crossing.begins_elsewhere(found.home, planning.steps):
        await in_thread(crossing.bring, broker)
    return result_of(planning.client, found, shape)


def _call(form: TaskForm, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ReadyToSend:
    """Return the call of a task that nothing goes before and nothing follows: as `Task.apply_async` makes it."""
    more = {"flow": {"star": 1}} if form.is_star else None
    where = f"{form.definition.name}.apply_async()"
    return ready_to_send(form.definition, where, *form.called_with(args, kwargs), more, **form.options)


def graph_of(planning: Planning, shape: Shape) -> Graph:
    """Return the graph of what was planned."""
    known = planning.known
    ids, queues, tasks, needs, whens = zip(*[(k.id, k.queue, k.task, k.needs, k.when) for k in known], strict=True)
    return Graph(planning.id, queues[0], shape, ids, tasks, queues, needs, "".join(whens))


def _nothing(shape: Shape) -> Any:
    """Return the result of a workflow without a step: of a group ``[]``, of a chain None."""
    return ResultSet([], os.urandom(10).hex(), shape) if isinstance(shape, list) else Nothing()
