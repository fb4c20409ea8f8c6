"""Tasks over a queue: the public names, each imported when it is first used. Stored data goes by them as well.

In its rooms: what is decided (rules), what travels (wire), what the store does (broker), who sends and waits (client), what runs
the user's code (execution), one process (worker), all of them (supervisor). Knows nothing of messages, queue.py or commands.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotqueue.errors import Ignore, Reject, Retry, UnknownTask
    from hotqueue.tasks.client.async_stream import AsyncStream
    from hotqueue.tasks.client.dead import DeadTask
    from hotqueue.tasks.client.method import AsyncTaskMethod, TaskMethod
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.client.resultset import ResultSet
    from hotqueue.tasks.client.schedule import Schedule
    from hotqueue.tasks.client.stream import Stream
    from hotqueue.tasks.client.task import AsyncTask, Task
    from hotqueue.tasks.context import TaskFilter, current_task
    from hotqueue.tasks.rules.lifecycle import State
    from hotqueue.tasks.rules.periodic import crontab
    from hotqueue.tasks.rules.why import Why
    from hotqueue.tasks.workflow.chain import chain
    from hotqueue.tasks.workflow.chord import chord
    from hotqueue.tasks.workflow.graph import Workflow
    from hotqueue.tasks.workflow.group import group
    from hotqueue.tasks.workflow.signature import Signature

__all__ = [
    "AsyncResult",
    "AsyncStream",
    "AsyncTask",
    "AsyncTaskMethod",
    "DeadTask",
    "Ignore",
    "Reject",
    "ResultSet",
    "Retry",
    "Schedule",
    "Signature",
    "State",
    "Stream",
    "Task",
    "TaskFilter",
    "TaskMethod",
    "UnknownTask",
    "Why",
    "Workflow",
    "chain",
    "chord",
    "crontab",
    "current_task",
    "group",
]

# Where they are defined; the rest are errors.
_HOMES = {
    "AsyncResult": "client.result",
    "AsyncStream": "client.async_stream",
    "AsyncTask": "client.task",
    "AsyncTaskMethod": "client.method",
    "DeadTask": "client.dead",
    "ResultSet": "client.resultset",
    "Schedule": "client.schedule",
    "Signature": "workflow.signature",
    "State": "rules.lifecycle",
    "Stream": "client.stream",
    "Task": "client.task",
    "TaskFilter": "context",
    "TaskMethod": "client.method",
    "Why": "rules.why",
    "Workflow": "workflow.graph",
    "chain": "workflow.chain",
    "chord": "workflow.chord",
    "crontab": "rules.periodic",
    "current_task": "context",
    "group": "workflow.group",
}

# No API: what pickles of exceptions, and of classes of the running script, call. None of them may be the name of a module.
_STORED = {
    "FailedRequest": "wire.flow.FailedRequest",
    "find_in_script": "wire.main_module.find",
    "make_class_of_stand_in": "wire.exceptions.stand_in_class",
    "make_nothing": "workflow.nothing.nothing",
    "make_form": "workflow.stored.form",
    "make_signature": "workflow.stored.signature",
    "make_exception": "wire.exceptions.together",
    "make_stand_in": "wire.exceptions.stand_in",
    "set_attributes": "wire.exceptions.take",
}


def __getattr__(name: str) -> Any:
    if name in _STORED:
        home, _, name = _STORED[name].rpartition(".")
        return getattr(import_module(f"hotqueue.tasks.{home}"), name)
    if name not in __all__:
        raise AttributeError(f"module 'hotqueue.tasks' has no attribute {name!r}")
    home = f"hotqueue.tasks.{_HOMES[name]}" if name in _HOMES else "hotqueue.errors"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
