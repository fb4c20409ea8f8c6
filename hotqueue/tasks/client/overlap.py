"""Overlap: the server works at one lot of tasks while the next is made: what sends many of them takes half the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hotqueue.errors import QueueFull
from hotqueue.plurals import plural
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.client import Client


class Overlap:
    """Sends lots of tasks to a queue. As a context: its end waits for the last of them.

    Args:
        name: of the queue.
        overlaps: False: each is waited for at once, as it may be long until the next.
    """

    def __init__(self, client: Client, name: str, overlaps: bool) -> None:
        self._client, self._name, self._overlaps = client, name, overlaps
        self._answer: Callable[[], object] | None = None
        self._count = self._sent = 0  # tasks: of the lot that is under way, and of those before

    def send(self, tasks: Sequence[Encoded]) -> None:
        """Wait for the lot before, and send one of at most BULK tasks."""
        self._wait()
        self._count = len(tasks)
        with self._counted():
            self._answer = self._client.begin_send(self._name, tasks)
        if not self._overlaps:
            self._wait()

    def _wait(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            with self._counted():
                answer()
            self._sent += self._count

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except QueueFull as error:
            if not self._sent:
                raise
            raise QueueFull(f"{error}; {plural(self._sent, 'call of map() was', 'calls of map() were')} sent before") from error

    def __enter__(self) -> Overlap:
        return self

    def __exit__(self, *_: object) -> None:
        self._wait()
