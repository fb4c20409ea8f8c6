"""A round: the upkeep of all queues of one server, or of one node of a Cluster.

A server that is silent so delays no other. The leases of our workers come first, in one trip for all queues; what the surveys
show comes after, as long as there is time before the leases' next turn.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.runtime.background import Background
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.maintenance import Survey
from hotqueue.tasks.supervisor.neighbours import Neighbours
from hotqueue.tasks.supervisor.queue_upkeep import QueueUpkeep
from hotqueue.tasks.worker import task_log

log = logging.getLogger("hotqueue.worker")

EVERY = 1.0  # seconds between two sweeps
BY_SECOND = 100  # queues that are swept in a second at most: of more, each is swept more seldom
WAITS, WAITS_AWAY = 2.0, 1.0  # seconds that one trip may take; of a server that did not answer the last
LONGEST = 3.0  # seconds for pending writes, and as many for what surveys show; then leases are due again


class Round:
    """The upkeep of the queues of one server.

    Args:
        ended: called in the thread of a beat when it is done.

    Attributes:
        queues: those that are looked after, as of the next beat.
        background: do a beat beside the caller's work.
        succeeded: when the server last answered (monotonic), None if never.
    """

    def __init__(self, lease_ms: int, neighbours: Neighbours, ended: Callable[[], None]) -> None:
        self.queues: list[QueueUpkeep] = []
        self.background = Background(ended)
        self.succeeded: float | None = None
        self._lease_ms = lease_ms
        self._neighbours = neighbours
        self._next = 0.0
        self._first = 0  # of the queues, whose surveys are looked at first
        self._is_away = False

    @property
    def is_due(self) -> bool:
        """True when `beat` has something to do."""
        return time.monotonic() >= self._next or any(each.pending_writes.are_due for each in self.queues)

    def soon(self) -> None:
        """Have the next beat sweep."""
        self._next = 0.0

    def beat(self, own: Sequence[str]) -> None:
        """Renew leases and sweep if it is time to; flush pending writes; an outage, or a key of the wrong type, is waited out.

        Args:
            own: the workers whose leases are renewed.
        """
        queues = list(self.queues)
        if not queues:
            return
        with queues[0].broker.store.limited(WAITS_AWAY if self._is_away else WAITS):
            try:
                self._beat(queues, own)
            except HotQueueError as error:
                self._note_outage(queues, error)
            except Exception as error:  # of none of the queues: a bug
                queues[0].say(error)

    def _beat(self, queues: list[QueueUpkeep], own: Sequence[str]) -> None:
        surveys: list[Survey | HotQueueError] = []
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + max(EVERY, len(queues) / BY_SECOND)
            surveys = many_queues.sweep([each.broker for each in queues], self._lease_ms, own)
            self._is_away, self.succeeded = False, time.monotonic()
        until = time.monotonic() + LONGEST
        for each in queues:
            each.pending_writes.flush(until)
        if surveys:
            self._neighbours.forget_reaped()
            self._look_after(self._swept(queues, surveys))

    def _swept(
        self, queues: Sequence[QueueUpkeep], surveys: Sequence[Survey | HotQueueError]
    ) -> list[tuple[QueueUpkeep, Survey]]:
        found = []
        for each, survey in zip(queues, surveys, strict=True):
            if isinstance(survey, Survey):
                each.swept(survey)
                found.append((each, survey))
            else:
                each.not_swept()
                each.say(survey)
        return found

    def _look_after(self, swept: list[tuple[QueueUpkeep, Survey]]) -> None:
        """Act upon surveys, the one first whose turn did not come last time."""
        due = [(each, survey) for each, survey in swept if survey.due == 0]
        failed = {}
        if due:
            answers = many_queues.promote([each.broker for each, _ in due], time.monotonic() + LONGEST)
            failed = {id(each): answer for (each, _), answer in zip(due, answers, strict=True) if isinstance(answer, Exception)}
        until = time.monotonic() + LONGEST
        first = self._first % max(1, len(swept))
        for n, (each, survey) in enumerate([*swept[first:], *swept[:first]]):
            if time.monotonic() > until:
                self._first = first + n
                return
            try:
                each.look_after(survey)
                if id(each) in failed:
                    raise failed[id(each)]
                each.is_well()
            except ConnectionFailed as error:
                if error.retry:
                    raise
                each.say(error)
            except Exception as error:
                each.say(error)

    def _note_outage(self, queues: list[QueueUpkeep], error: HotQueueError) -> None:
        for each in queues:
            each.not_swept()
        if not self._is_away:
            names = task_log.queues(each.broker.name for each in queues)
            log.warning("upkeep of %s: %s; trying again until it answers", names, error)
        self._is_away = True
