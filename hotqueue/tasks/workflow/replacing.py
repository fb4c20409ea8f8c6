"""Replacing: a task returned a signature → the plan of the steps that take its place, or its value, if it has no step. No I/O.

The last step of the plan has the id of the task, so that whoever waits for that waits on. See docs/decisions/0067.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hotqueue.errors import ConfigError
from hotqueue.plurals import plural
from hotqueue.sizes import in_words
from hotqueue.tasks.client.client import Client
from hotqueue.tasks.context import Request, envelope_of
from hotqueue.tasks.rules import unique as unique_rules
from hotqueue.tasks.wire import envelope, plan
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.workflow.plan import Given, Planning, Shape
from hotqueue.tasks.workflow.sending import graph_of
from hotqueue.tasks.workflow.signature import form_of

MOST_REPLACED = 1000  # times, one by the other
MOST_STEPS, MOST_BYTES = 1000, 8 * 1024 * 1024  # of one plan, which is one script


def replaced_by(home: Client, name: str, request: Request, signature: Any) -> tuple[bytes | None, Any]:
    """Return what takes the place of the task that runs: a plan, packed, and None; or None and a value, if there is no step.

    Args:
        home: the worker's own client of its queue, which signs what comes to be there: a task that came by value has no key.
        name: of the task.

    Raises:
        RecursionError: it was replaced too often.
        ConfigError, TypeError, SerializationError: it is too large; a step does not fit, cannot travel.
    """
    planning, shape = _planned(name, request, signature)
    if not planning.steps:
        return None, shape
    steps = [_at_home(step, home, request) for step in planning.steps]
    _check_size(steps, request, name)
    words = replace(graph_of(planning, shape), home=request.queue).encode() if len(steps) > 1 else b""
    return plan.packed(steps, request.queue, request.id, words, planning.stays_ms), None


def _planned(name: str, request: Request, signature: Any, has_id: bool = True) -> tuple[Planning, Shape]:
    planning = Planning()
    planning.id, planning.headers = request.id, request.headers
    planning.replaced = int(envelope_of(request).flow.get("replaced", 0)) + 1
    if planning.replaced > MOST_REPLACED:
        raise RecursionError(
            f"task {request.id} ({name}) was replaced {MOST_REPLACED:,} times, one signature returning the next, which is as "
            "often as may be: have it end at some point, or send the next one by delay()"
        )
    form = form_of(signature).copy()
    if has_id:
        form.options["task_id"] = request.id
    shape = planning.part(form, Given())
    last = planning.known[shape] if isinstance(shape, int) else None
    if last is not None and last.id == request.id and last.queue != request.queue:
        return _planned(name, request, signature, has_id=False)
    if planning.steps and (last is None or last.id != request.id):  # it ends with several, elsewhere, or under a name of its own
        shape = planning.collected(Given(shape), task_id=request.id, queue=request.queue)
    return planning, shape


def _at_home(step: Step, home: Client, request: Request) -> Step:
    """Return a step as it is laid; the last one has the unique key of the task: until that is over, nobody else gets it."""
    data, unique = step.envelope, envelope_of(request).unique
    has_key = (found := unique_rules.read(unique)) is not None and found.until == "ended"
    if step.id == request.id and has_key:
        return step._replace(envelope=envelope.with_unique(data, unique, home.signer))
    if home.signer is not None:
        data = envelope.restamped(data, step.id, int(time.time() * 1000), home.signer)
    return step._replace(envelope=data)


def _check_size(steps: Sequence[Step], request: Request, name: str) -> None:
    size = sum(len(step.envelope) for step in steps)
    if len(steps) > MOST_STEPS or size > MOST_BYTES:
        raise ConfigError(
            f"{name} returned a workflow of {plural(len(steps), 'step')} ({in_words(size)}); what takes the place of a task "
            f"has at most {MOST_STEPS:,}, and {in_words(MOST_BYTES)}: have it return fewer, as task.chunks() makes few of many, "
            "or send it by delay()"
        )
