"""Where calls go inside `queue.testing()`: to the sandbox that is open, and not to a store.

Imports nothing of hotqueue. The sandbox is opened and closed by tasks/testing/; whoever would go to the store asks here first.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

K = TypeVar("K", bound="Kept")


class Kept(Protocol):
    """Something of a queue's that a sandbox keeps."""

    def after_fork(self) -> None:
        """In a forked process: make new locks, for the parent's threads are not there to give them back."""


class Sandbox(Protocol):
    """What is open inside `queue.testing()`; blocks that overlap share one."""

    originals: dict[str, Any]

    def broker_of(self, registry: Any, name: str) -> Any:
        """Return the tasks of a queue."""

    def replies_of(self, registry: Any, name: str) -> Any:
        """Return where results of a queue are waited for."""

    def kept(self, make: type[K], store: object, name: str) -> K:
        """Return what a queue keeps of this type, made when it is first asked for: the list of its raw messages."""


sandbox: Sandbox | None = None
