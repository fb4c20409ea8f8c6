"""Tasks of ours, which every worker knows: what workflows need beside the tasks of users."""

from __future__ import annotations

from typing import Any

from hotqueue.tasks.client.client import Client
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.rules.options import TaskOptions

COLLECT = "hotqueue.collect"


def collect(client: Client) -> Definition:
    """Return the task that returns what it is given: the values of several steps, as one value."""
    return Definition(_same, client, COLLECT, TaskOptions(), by_value=False)


def builtin(client: Client, name: str) -> Definition | None:
    """Return the task of ours that is called `name`."""
    return collect(client) if name == COLLECT else None


def _same(value: Any) -> Any:
    return value
