"""The schedules of one queue, as this process looks after them: when to fire what is due, and to say what its modules declare.

Any number of processes may do it side by side, and none of them leads: what was changed since it was read is not changed. See
docs/decisions/0051.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time

from hotqueue.signing import Signer
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.declaring import Declared, Declaring
from hotqueue.tasks.supervisor.schedule_mending import mend
from hotqueue.tasks.supervisor.slot_firing import AGAIN, SlotFiring

log = logging.getLogger("hotqueue.worker")

JUMP = 2000.0  # ms by which the server's clock and ours drift apart at once, where one was set
SPREAD = 0.004  # seconds over which those who know of a slot ask for it, so that one of them is first
ROUNDS = 20  # reads of what is due, one after another
SAID = 1000  # things that were said, and are not said again


class QueueSchedules:
    """The schedules of one queue.

    Args:
        signer: of the queue's tasks.
        alive_ms: for how long whoever declares schedules counts as alive.
        is_patient: False: what was missed is made up for at once, for somebody who will not be here for long.

    Attributes:
        due_at: when something is to be fired (monotonic).
        lived_since: since when we would have fired what was due, in ms by the server's clock; None before it was asked.
    """

    def __init__(self, broker: Broker, signer: Signer | None, alive_ms: int, is_patient: bool = True) -> None:
        self.broker = broker
        self.due_at = math.inf
        self.lived_since: int | None = None
        self.declaring = Declaring(broker, alive_ms, self._say)
        self._firing = SlotFiring(broker, signer, is_patient, self._say, self.declaring.declares)
        self._signer = signer
        self._offset = (0.0, 0.0)  # ms by which the server's clock is ahead of ours: at least, and at most
        self._not_before = 0.0
        self._has_left = False
        self._must_mend, self._was_put_back = True, False
        self._lock = threading.Lock()  # of whoever is at work for us
        self._said: set[str] = set()

    @property
    def is_needed(self) -> bool:
        """True while there are schedules that we know of."""
        return self.due_at < math.inf or self.declaring.renew_at < math.inf

    @property
    def begins_at(self) -> float:
        """When there is something to do next (monotonic)."""
        return max(self._not_before, 0.0 if self._must_mend else min(self.due_at, self.declaring.renew_at))

    # --- what others tell it -------------------------------------------------------------------------------------

    def note(self, now: int, left: int, asked_at: float | None = None) -> None:
        """Note the server's time, and how many ms it is until the next slot, -1 where there is none.

        Args:
            asked_at: when the server was asked (monotonic), where that may be long ago: its answer came with many others.
        """
        asked_at = time.monotonic() if asked_at is None else asked_at
        self._note_clock(now, asked_at)
        if left < 0 or self._has_left:
            self.due_at = math.inf
        else:
            self.due_at = asked_at + (left / 1000 + random.uniform(0, SPREAD) if left else 0.0)

    def note_stopped(self) -> None:
        """Note that this process stood still for a while: it was not there for what passed meanwhile."""
        self.lived_since = None

    def declare(self, declared: Declared) -> None:
        """Declare these schedules from now on, instead of those of before."""
        if not self._has_left:
            self.declaring.declare(declared)

    # --- what it does --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do what there is to do.

        Raises:
            HotQueueError: what went wrong; it is tried again in a second.
        """
        with self._lock:
            try:
                self._run()
            except BaseException:
                self._not_before = time.monotonic() + AGAIN
                raise

    def _run(self) -> None:
        if self._has_left:
            return
        if self._must_mend:
            self.mend()
        if time.monotonic() >= self.declaring.renew_at:
            self.declaring.renew()
            self._look()
        if time.monotonic() >= self.due_at:
            self._fire()

    def mend(self) -> None:
        """Look whether all schedules are as they should be."""
        mend(self.broker, self._signer, self._was_put_back)
        self._must_mend = self._was_put_back = False
        self._look()

    def _look(self) -> None:
        asked_at = time.monotonic()
        self.note(*self.broker.next_slot(), asked_at)

    def _fire(self) -> None:
        for _ in range(ROUNDS):
            asked_at = time.monotonic()
            due = self.broker.due_schedules()
            self.note(due.now, due.left, asked_at)
            if not due.rows:
                return
            later = self._firing.fire(due, self._note_clock(due.now, asked_at))
            if later:
                self._look_again_in(later)
                return
        self.due_at = time.monotonic()

    def _look_again_in(self, seconds: float) -> None:
        """Look so much later at what cannot be fired now, and at what comes until then when it comes."""
        following = self.broker.due_schedules(0).following
        self.due_at = time.monotonic() + (seconds if following < 0 else min(seconds, following / 1000))

    def leave(self) -> None:
        """Fire nothing any more, and declare nothing: this process ends."""
        self._has_left = True
        with self._lock:
            self.due_at = self.declaring.renew_at = math.inf
            self.declaring.end()

    def _note_clock(self, now: int, asked_at: float) -> int:
        """Note the server's time; return since when we would have fired what was due."""
        least, most = now - time.monotonic() * 1000, now - asked_at * 1000
        since, (least_before, most_before) = self.lived_since, self._offset
        if since is not None and most < least_before - JUMP:
            self._was_put_back = self._must_mend = True
        if since is None or most < least_before - JUMP or least > most_before + JUMP:
            self.lived_since = since = now
        self._offset = least, most
        return since

    def _say(self, text: str) -> None:
        if text not in self._said:
            if len(self._said) > SAID:
                self._said.clear()
            self._said.add(text)
            log.error("queue %s: %s", self.broker.name, text)
