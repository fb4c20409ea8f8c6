"""Overlap: the server works at one lot of tasks while the next is made: what sends many of them takes half the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.client import Client


class Overlap:
    """Sends lots of tasks to a queue. As a context: its end waits for the last of them.

    Args:
        overlaps: False: each is waited for at once, as it may be long until the next.
    """

    def __init__(self, client: Client, overlaps: bool) -> None:
        self._client, self._overlaps = client, overlaps
        self._answer: Callable[[], object] | None = None

    def send(self, tasks: Sequence[Encoded]) -> None:
        """Wait for the lot before, and send one of at most BULK tasks."""
        self._wait()
        self._answer = self._client.begin_send(self._client.name, tasks)
        if not self._overlaps:
            self._wait()

    def _wait(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer()

    def __enter__(self) -> Overlap:
        return self

    def __exit__(self, *_: object) -> None:
        self._wait()
