"""Nothing: the result of a chain without a step. It was never sent; it has ended, with None."""

from __future__ import annotations

import os
import time
from typing import Any

from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.rules.why import Why
from hotqueue.tasks.wire import payload
from hotqueue.tasks.wire.record import Record
from hotqueue.tasks.workflow.graph import Graph


class Nothing(AsyncResult[None]):
    """What an empty chain returns; asks no server anything."""

    __module__ = "hotqueue.tasks"
    __slots__ = ()

    def __init__(self) -> None:
        handle: Handle[None] = Handle(os.urandom(10).hex(), None, "none")  # type: ignore[arg-type]  # no queue has it
        handle.record = Record(State.SUCCESS, 0, int(time.time() * 1000), payload.dumps(None))
        handle.graph = Graph("", "", None, (), (), (), (), "")
        super().__init__(handle)

    def __repr__(self) -> str:
        return "<AsyncResult of an empty chain>"

    def __reduce__(self) -> tuple[Any, ...]:
        return nothing, ()

    @property
    def progress(self) -> None:
        """None."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """No errors."""
        return []

    def why(self) -> Why:
        """Say that it does not wait."""
        return Why("finished", "it is a chain without a step, and has ended with None")

    def revoke(self, terminate: bool = False) -> str:
        """Do nothing."""
        return "finished or unknown"

    def forget(self) -> None:
        """Do nothing."""


def nothing() -> Nothing:
    """Return another one."""
    return Nothing()


nothing.__module__, nothing.__qualname__ = "hotqueue.tasks", "make_nothing"  # what pickles call it, wherever this file goes
