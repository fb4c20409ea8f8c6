"""Unparking: the parked tasks of a queue that one worker can run: when to look for them, and having them go back."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence

from hotqueue.errors import ConfigError
from hotqueue.plurals import plural
from hotqueue.tasks.broker.pausing import RESUMED
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.wire import envelope, payload

MIXED, LOOK_OFTEN = 60.0, 0.25  # seconds for which others may park what we can run; between two looks of an idle worker then
ASK_LATER, ASK_AGAIN = 1.0, 0.005  # seconds until parked tasks are looked for again: there were none for us, there were some

log = logging.getLogger("hotqueue.worker")


class Unparking:
    """What one worker knows of the parked tasks of one queue.

    Attributes:
        needs: how many things parked tasks wait for, when last told; a pause is none.
        paused: names of tasks that are not to start, when last told.
        has_more: the last fetch was busy setting these aside: there is more to fetch.
        unpark_at: when to look for parked tasks again (monotonic).
        mixed_until: until then (monotonic), workers that cannot run what we can may be there, and park it.
    """

    registry: Registry

    def __init__(self) -> None:
        self.needs = 0
        self.paused: Sequence[str] = ()
        self.has_more = False
        self.unpark_at = self.mixed_until = 0.0

    @property
    def may_unpark(self) -> bool:
        """True when it is time to look for parked tasks that this worker can run."""
        return self.needs > 0 and time.monotonic() >= self.unpark_at

    def until_look(self) -> float:
        """Return seconds until an idle worker is to look for parked tasks, for which no bell rings."""
        now = time.monotonic()
        if self.needs:
            return max(0.0, self.unpark_at - now)
        return LOOK_OFTEN if now < self.mixed_until else math.inf

    def unpark_later(self) -> None:
        """Note that such tasks are looked for just now."""
        self.unpark_at = time.monotonic() + ASK_LATER

    def unpark(self, kind: str, room: int) -> int:
        """Have some of these tasks go back, for a worker of `kind` that fetches as many at once; return how many did.

        No more than that, and soon again: others that cannot run them may be at the queue, and fetch and park what lies there.

        Raises:
            ConfigError: what some of them wait for is kept under a key of the wrong type, and none of the others went back.
        """
        total, wrong = 0, None
        self.unpark_later()
        for need in self.registry.broker.needs():
            if self._satisfies(need):
                was_paused = need.startswith("paused:")  # what was resumed is for all
                try:
                    moved = self.registry.broker.unpark(need, kind, RESUMED if was_paused else room)
                except ConfigError as error:
                    wrong = error
                    continue
                total += moved
                if moved:
                    count = plural(moved, "parked task goes", "parked tasks go")
                    log.debug("queue %s: %s back; what was waited for: %s", self.registry.name, count, need)
                    self.mixed_until = max(self.mixed_until, 0.0 if was_paused else time.monotonic() + MIXED)
        if total:
            self.unpark_at = time.monotonic() + ASK_AGAIN
        elif wrong is not None:
            raise wrong
        return total

    def _satisfies(self, need: str) -> bool:
        kind, _, what = need.partition(":")
        if kind == "task":
            return what in self.registry.tasks
        if kind == "paused":
            return what not in self.paused
        if kind == "python":
            return what == payload.PYTHON
        return kind == "wire" and what.isdigit() and int(what) <= envelope.WIRE_VERSION
