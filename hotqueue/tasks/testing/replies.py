"""Waiting for results inside `queue.testing()`: what `Replies` does with Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from hotqueue.errors import ResultTimeout
from hotqueue.runtime.interrupts import within
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.waiters import Callback
from hotqueue.tasks.testing.runner import Runner
from hotqueue.tasks.testing.storage import WHERE, Storage, why


class MemoryReplies:
    """Where results are waited for; the methods are those of `Replies`."""

    def __init__(self, storage: Storage, runner: Runner) -> None:
        self._storage, self._runner = storage, runner

    def wait(self, ids: Iterable[str], timeout: float | None, until_error: bool = False) -> dict[str, Answer]:
        """Return the answers that came within `timeout` seconds (None: wait for all), or until one is an error.

        Raises:
            RuntimeError: in the event loop that the task needs.
            ResultTimeout: nothing will come, and no timeout was given.
        """
        wanted, answers, awake = set(ids), dict[str, Answer](), threading.Event()

        def note(task_id: str, answer: Answer) -> None:
            answers[task_id] = answer
            if len(answers) == len(wanted) or (until_error and answer.is_error):
                awake.set()

        for task_id in wanted:
            self.watch(task_id, note)
        try:
            self.ask(list(wanted))
            left = wanted - set(answers)
            if left and not awake.is_set():
                self._refuse_to_hang(left, timeout)
                _wait(awake, timeout)
        finally:
            for task_id in wanted:
                self.unwatch(task_id, note)
        return dict(answers)

    def _refuse_to_hang(self, ids: set[str], timeout: float | None) -> None:
        if self._runner.is_on_loop:
            raise RuntimeError(
                f"get() of task {min(ids)} blocks the event loop that all async def tasks run on, {WHERE}; write await result"
            )
        for task_id in sorted(ids) if timeout is None else ():
            entry = self._storage.unfinished.get(task_id)
            if entry is not None and not entry.running:
                raise ResultTimeout(
                    f"get() without a timeout would wait for ever for task {task_id}: {why(self._storage, entry)}"
                )

    def watch(self, task_id: str, callback: Callback) -> None:
        """Register a callback."""
        with self._storage.lock:
            self._storage.watchers.setdefault(task_id, []).append(callback)

    def unwatch(self, task_id: str, callback: Callback) -> None:
        """Forget a callback."""
        with self._storage.lock:
            found = self._storage.watchers.get(task_id, [])
            if callback in found:
                found.remove(callback)

    def subscribe(self, task_id: str, callback: Callback) -> None:
        """Have `callback` called when the task ends, or now."""
        self.watch(task_id, callback)
        self.ask([task_id])

    def later(self, job: Callable[[], object]) -> None:
        """Do nothing: here no task waits for who reads it."""

    def ask(self, ids: list[str]) -> None:
        """Answer for those that have ended."""
        for task_id in ids:
            self._storage.end_if_expired(task_id)
        self._storage.notify(ids)

    trouble = ""

    async def aask(self, ids: list[str]) -> None:
        """Asyncio twin of `ask`."""
        self.ask(ids)


def _wait(awake: threading.Event, timeout: float | None) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    while not awake.wait(within(None if deadline is None else max(0.0, deadline - time.monotonic()))):
        if deadline is not None and time.monotonic() >= deadline:
            return
