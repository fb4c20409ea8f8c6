"""By name: the definition of a task of which a program has no code, only the name: what `queue.send` sends.

A worker that has the code supplies what the name stands for: the function, and the decorator's options where the call has none of
its own. So of a call's options all that were given travel, those too that are everywhere the defaults: see docs/decisions/0055.
"""

from __future__ import annotations

import keyword
from collections.abc import Collection
from dataclasses import fields
from inspect import Parameter, Signature
from typing import Any

from hotqueue.tasks.client.client import Client
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.rules.call_keys import check_fields
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import envelope

_KEYS = [field.name for field in fields(TaskOptions) if field.name.endswith("_key")] + ["unique"]  # templates over the arguments


def definition(client: Client, name: str, given: Collection[str]) -> Definition:
    """Return the definition of a task that is called `name`.

    Args:
        given: the names of the options that a call has.
    """
    return _Named(client, name, frozenset(given))


def _elsewhere(*args: Any, **kwargs: Any) -> None:
    """Stand for a function that only workers have."""


class _Named(Definition):
    """A task by its name; any arguments may fit."""

    def __init__(self, client: Client, name: str, given: frozenset[str]) -> None:
        super().__init__(_elsewhere, client, name, TaskOptions(), by_value=False)
        self._given = given & {field.name for field in fields(TaskOptions)} | given & {"retries"}

    def encode(
        self,
        task_id: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        queue: str,
        more: dict[str, Any] | None = None,
        ahead: tuple[tuple[Any, ...], int] | None = None,
    ) -> bytes:
        """Return the envelope of a call; see `Definition.encode`."""
        named = [name for name in kwargs if isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)]
        signature = Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in named])
        for option in _KEYS:
            key = getattr(options, option)
            if isinstance(key, str):
                try:
                    check_fields(key, signature, options.sensitive, f"{self.name!r}: {option}=")
                except TypeError as error:
                    raise TypeError(f"{error}; for a task by name, keys are made of kwargs={{…}}, not of args") from None
        return super().encode(task_id, args, kwargs, options, queue, more, ahead)

    def _header(self, options: TaskOptions, queue: str) -> bytes:
        return envelope.task_header(self.name, queue, options.chosen(self._given))
