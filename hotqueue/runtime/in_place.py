"""Where calls go inside `queue.testing()`: to the stage that is open, and not to a store. Imports nothing of hotqueue.

The stage is opened and closed by tasks/eager.py; whoever would go to the store asks here first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hotqueue.messages.memory import MemoryList


class Stage(Protocol):
    """What is open inside `queue.testing()`; blocks that overlap share one."""

    originals: dict[str, Any]

    def broker_of(self, registry: Any, name: str) -> Any:
        """Return the tasks of a queue."""

    def replies_of(self, registry: Any, name: str) -> Any:
        """Return where results of a queue are waited for."""

    def list_of(self, store: object, name: str) -> MemoryList:
        """Return the raw messages of a queue."""


stage: Stage | None = None


def list_of(store: object, name: str) -> MemoryList | None:
    """Return the raw messages of a queue; None where they are in its store."""
    return None if stage is None else stage.list_of(store, name)
