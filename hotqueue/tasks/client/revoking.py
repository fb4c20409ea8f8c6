"""Revoking many tasks from a program: which are meant, checked, and said to the broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hotqueue.hints import did_you_mean
from hotqueue.tasks.broker.revoking_many import STATES, Sought
from hotqueue.tasks.client.pausing import task_name
from hotqueue.tasks.client.registry import Registry


def revoke_all(registry: Registry, task: Any, headers: Any, schedule: Any, every: Any) -> int:
    """Revoke all tasks that are meant; see `HotQueue.revoke_all`."""
    where = "queue.revoke_all()"
    if every is not (task is None and headers is None and schedule is None):
        given = "" if isinstance(every, bool) else f", not all={every!r:.80}"
        raise TypeError(f"{where} takes task=, headers= or schedule=, or else all=True for every task of the queue{given}")
    sought = Sought(task_name(task, f"{where} task="), _schedule_name(schedule, where), _members(headers, where))
    return _told(registry, registry.broker.revoke_some(sought, is_to_mark=True))


def purge(registry: Registry, task: Any, state: Any) -> int:
    """Revoke what waits; see `HotQueue.purge`."""
    name = task_name(task, "queue.purge() task=")
    if state is not None and state not in STATES:
        hint = did_you_mean(state, STATES) if isinstance(state, str) else ""
        raise ValueError(f"queue.purge() state= is one of {', '.join(STATES)}, not {state!r:.80}{hint}")
    return _told(registry, registry.broker.revoke_some(Sought(name, states=STATES if state is None else (state,))))


def _told(registry: Registry, ended: int) -> int:
    """Have other queues hear of it, whose workflows had steps here: no worker may be there to tell them."""
    from hotqueue.tasks.workflow.crossing import bring

    bring(registry.broker)
    return ended


def _schedule_name(schedule: Any, where: str) -> str:
    name = getattr(schedule, "name", schedule)
    if name is None or (isinstance(name, str) and name):
        return name or ""
    raise TypeError(f"{where} schedule= takes the name of a schedule, not {schedule!r:.80}")


def _members(headers: Any, where: str) -> tuple[str, ...]:
    """Return what headers are to have, a JSON object each, in the form in which envelopes have them."""
    if headers is None:
        return ()
    what = (
        f"{where} headers= takes a dict of what headers have, such as {{'tenant': 7}}: str keys; values that are str, numbers, "
    )
    if not isinstance(headers, Mapping) or not headers:
        raise TypeError(f"{what}True, False or None, not {headers!r:.80}")
    for name, value in headers.items():
        if not isinstance(name, str) or not (value is None or isinstance(value, str | int | float)):
            raise TypeError(f"{what}True, False or None, not {name!r:.80}: {value!r:.80}")
    try:
        "".join(f"{name}{value}" for name, value in headers.items()).encode()  # no half characters, which Lua does not read
        texts = [json.dumps({name: value}, allow_nan=False, separators=(",", ":")) for name, value in headers.items()]
    except ValueError as error:
        raise ValueError(f"{where} headers= cannot be what a task has: {headers!r:.80}: {error}") from None
    return tuple(texts)
