"""Background: what a supervisor has to do at Redis, done in a thread that lives only while there is something to do.

Redis may answer late, or never; signals, time limits and deaths must not wait for it. Between two jobs there is no
thread, so that a supervisor forks as a process of one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Background:
    """One job at a time.

    Args:
        ended: called in the job's thread when it is done; it wakes whoever then calls `conclude`.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._thread: threading.Thread | None = None
        self._is_done = False
        self._answer: Any = None
        self._error: BaseException | None = None
        self._then: Callable[[Any], None] = _nothing

    @property
    def is_free(self) -> bool:
        """True while no job is under way, and no thread there."""
        return self._thread is None

    def begin(self, job: Callable[[], Any], then: Callable[[Any], None] | None = None) -> None:
        """Have a job done; only while `is_free`.

        Args:
            then: called by `conclude`, with what the job returned.
        """
        assert self.is_free
        self._then, self._is_done, self._error = then or _nothing, False, None
        self._thread = threading.Thread(target=self._run, args=(job,), name="hotqueue-background", daemon=True)
        self._thread.start()

    def _run(self, job: Callable[[], Any]) -> None:
        try:
            self._answer = job()
        except BaseException as error:
            self._error = error
        self._is_done = True
        self._ended()

    def wait(self, seconds: float) -> None:
        """Wait so long at most for the job that is under way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def conclude(self) -> None:
        """End a job that is done, in the caller's thread; raise what it raised."""
        if self._thread is None or not self._is_done:
            return
        self._thread.join()
        self._thread = None
        if self._error is not None:
            raise self._error
        self._then(self._answer)


def _nothing(_answer: object) -> None:
    pass
