"""A round: the upkeep of all queues of one server, or of one node of a Cluster.

A server that is silent so delays no other. The leases of our workers come first, in one trip for all queues; what the surveys
show comes after, as long as there is time before the leases' next turn.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.runtime.background import Background
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.maintenance import Survey, stays
from hotqueue.tasks.supervisor.counting_in_turns import CountingInTurns
from hotqueue.tasks.supervisor.neighbours import Neighbours, Search
from hotqueue.tasks.supervisor.queue_upkeep import QueueUpkeep
from hotqueue.tasks.supervisor.shares import Shares
from hotqueue.tasks.worker import task_log

log = logging.getLogger("hotqueue.worker")

EVERY = 1.0  # seconds between two sweeps
IN_FULL = 1 / 300  # of the queues in which there is nothing, so many are swept all the same
RENEWED, BY_COUNT = 2, 1000  # queues at which our workers are registered anew in a second, and of how many one more
WAITS, WAITS_AWAY = 2.0, 1.0  # seconds that one trip may take; of a server that did not answer the last
LONGEST = 3.0  # seconds for pending writes, and as many for what surveys show; then leases are due again


class Round:
    """The upkeep of the queues of one server.

    Args:
        ended: called in the thread of a beat when it is done.

    Attributes:
        queues: those that are looked after, as of the next beat.
        count: of all queues that this process looks after, here and elsewhere.
        background: do a beat beside the caller's work.
        firing: the same for schedules, which must not wait for a beat.
        succeeded: when the server last answered (monotonic), None if never.
    """

    def __init__(self, lease_ms: int, neighbours: Neighbours, ended: Callable[[], None]) -> None:
        self.queues: list[QueueUpkeep] = []
        self.background = Background(ended)
        self.firing = Background(ended)
        self.succeeded: float | None = None
        self._lease_ms = lease_ms
        self._neighbours = neighbours
        self._next = 0.0
        self._first = 0  # of the queues, whose surveys are looked at first
        self._is_away = False
        self._healthy_since: float | None = None
        self._clock: float | None = None
        self.count = self._counted = 0  # and when we last looked
        self._with_schedules: set[QueueUpkeep] = set()
        self._lock = threading.Lock()
        self._shares = Shares(EVERY, IN_FULL)
        self._deaths = Search()
        self._counting = CountingInTurns()

    @property
    def is_due(self) -> bool:
        """True when `beat` has something to do."""
        return time.monotonic() >= self._next or any(each.pending_writes.are_due for each in self.queues)

    def soon(self) -> None:
        """Have the next beat sweep."""
        self._next = 0.0

    def close(self) -> None:
        """Drop what connections are of its own."""
        self._shares.close()

    # --- schedules -----------------------------------------------------------------------------------------------

    def fires_at(self) -> float:
        """Return when there is something to do about schedules (monotonic)."""
        return min([each.schedules.begins_at for each in self._with_schedules], default=math.inf)

    def note_schedules(self, queues: Iterable[QueueUpkeep] = ()) -> None:
        """Look after the schedules of these queues as well, those of them that have some and are ours."""
        with self._lock:
            ours = set(self.queues)
            self._with_schedules = {
                each for each in (*self._with_schedules, *queues) if each.schedules.is_needed and each in ours
            }

    def fire(self) -> None:
        """Do what is due about schedules; what goes wrong is tried again."""
        now = time.monotonic()
        for each in self._with_schedules:
            if each.schedules.begins_at > now:
                continue
            with each.broker.store.limited(WAITS):
                try:
                    each.schedules.run()
                except ConnectionFailed as error:  # the beat says so
                    if not error.retry:
                        each.say(error)
                except Exception as error:
                    each.say(error)
        self.note_schedules()

    # --- beats ---------------------------------------------------------------------------------------------------

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
        swept: list[tuple[QueueUpkeep, Survey]] = []
        is_due = time.monotonic() >= self._next
        if is_due:
            self._next = time.monotonic() + EVERY
            swept = self._sweep(queues, own)
        until = time.monotonic() + LONGEST
        for each in queues:
            each.pending_writes.flush(until)
        if is_due:
            self._neighbours.forget_reaped()
            self._look_after(swept)

    def _sweep(self, queues: list[QueueUpkeep], own: Sequence[str]) -> list[tuple[QueueUpkeep, Survey]]:
        """Renew leases, then survey what is to be looked after now; raises ConnectionFailed."""
        ours = self._ours(queues)
        swept = self._swept(ours, own, renews=True)
        if ours:
            self._note_answer()
        swept += self._swept(self._shares.take(queues, ours), own)
        self._note_answer()
        if dead := self._deaths.fresh(self._neighbours.dead()):
            swept += self._search(queues, own, dead)
        now = max((survey.now for _, survey in swept), default=self._shares.now)
        if now is not None:
            self._note_clock(now)
        return swept

    def _search(self, queues: list[QueueUpkeep], own: Sequence[str], dead: Sequence[str]) -> list[tuple[QueueUpkeep, Survey]]:
        """Sweep the queues at which any of these dead workers is registered."""
        there = many_queues.are_registered([each.broker for each in queues], dead)
        swept = self._swept([each for each, is_there in zip(queues, there, strict=True) if is_there], own, dead)
        self._deaths.searched(dead, (worker for _, survey in swept for worker, _ in survey.others))
        return swept

    def _note_answer(self) -> None:
        self._is_away, self.succeeded = False, time.monotonic()
        if self._healthy_since is None:
            self._healthy_since = time.monotonic()

    def _note_clock(self, now: int) -> None:
        """Note the server's time: where it was put ahead (or another server took over), all leases ran out."""
        ahead = now - time.monotonic() * 1000
        before, self._clock = self._clock, ahead
        if before is not None and ahead - before > self._lease_ms / 2:
            self._healthy_since = time.monotonic()
            for each in self.queues:
                each.renew_at = 0.0

    def _ours(self, queues: list[QueueUpkeep]) -> list[QueueUpkeep]:
        """Return the queues that we sweep whoever else does: our workers hold something there, or are to be registered anew."""
        if self.count != self._counted:  # they have registered just now, or will
            self._counted, every = self.count, stays(self.count) / 4000
            for each in queues:
                if each.renew_at == math.inf:
                    each.renew_at = time.monotonic() + random.uniform(every / 4, every)
        found = [each for each in queues if each.holds or each.is_watched]
        now = time.monotonic()
        due = [each for each in queues if now >= each.renew_at and not (each.holds or each.is_watched)]
        return found + due[: RENEWED + len(queues) // BY_COUNT + len(due) // 4]

    def _swept(
        self, queues: Sequence[QueueUpkeep], own: Sequence[str], dead: Sequence[str] = (), renews: bool = False
    ) -> list[tuple[QueueUpkeep, Survey]]:
        """Sweep queues; renew the leases of our own workers there, if told so."""
        found, failed = [], []
        stay_ms = stays(self.count)
        held = [each for each in queues if each.holds and renews]
        for each in held:  # before the server is asked: what is noted from now on, the next sweep is for
            each.holds = False
        asked_at = time.monotonic()
        try:
            brokers = [each.broker for each in queues]
            surveys = many_queues.sweep(brokers, self._lease_ms, own if renews else (), dead, stay_ms)
        except BaseException:
            for each in held:
                each.holds = True
            raise
        for each, survey in zip(queues, surveys, strict=True):
            if isinstance(survey, Survey):
                others = [(worker, left) for worker, left in survey.others if worker not in own]
                each.holds |= len(others) < len(survey.others)  # not renewed in time, whyever: the next beat does
                survey.others = others
                each.swept(survey, asked_at)
                if renews:
                    each.renew_at = time.monotonic() + stay_ms / 4000
                    each.holds |= survey.holding > 0
                found.append((each, survey))
            else:
                each.not_swept()
                each.holds |= each in held
                failed.append(each)
                each.say(survey)
        self._shares.could_not_sweep(failed)
        if scheduled := [each for each, survey in found if survey.slot >= 0]:
            self.note_schedules(scheduled)
        return found

    def _look_after(self, swept: list[tuple[QueueUpkeep, Survey]]) -> None:
        """Act upon surveys, the one first whose turn did not come last time."""
        due = [(each, survey) for each, survey in swept if survey.due == 0]
        failed = {}
        if due:
            answers = many_queues.promote([each.broker for each, _ in due], time.monotonic() + LONGEST)
            failed = {id(each): answer for (each, _), answer in zip(due, answers, strict=True) if isinstance(answer, Exception)}
        until = time.monotonic() + LONGEST
        healthy = time.monotonic() - (self._healthy_since or time.monotonic())
        first, to_count = self._first % max(1, len(swept)), list[QueueUpkeep]()
        for n, (each, survey) in enumerate([*swept[first:], *swept[:first]]):
            if time.monotonic() > until:
                self._first = first + n
                break
            with each.by_itself():
                each.look_after(survey, healthy)
                if id(each) in failed:
                    raise failed[id(each)]
                if survey.has_accounts:
                    to_count.append(each)
                else:
                    each.is_well()
        self._counting.count(to_count)

    def _note_outage(self, queues: list[QueueUpkeep], error: HotQueueError) -> None:
        self._healthy_since = None
        for each in queues:
            each.not_swept()
        if not self._is_away:
            names = task_log.queues(each.broker.name for each in queues)
            log.warning("upkeep of %s: %s; trying again until it answers", names, error)
        self._is_away = True
