"""What keeps one queue in order, as a sweep shows: reap the lost, stop, expire, let go, relay.

What the sweep found is acted upon here; upkeep_rounds.py says when, and sweeps; queue_mending.py looks for what no sweep shows.
Any number of processes may do it side by side.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hotqueue import presence
from hotqueue.errors import ConnectionFailed, HotQueueError, NewerQueue
from hotqueue.plurals import plural
from hotqueue.signing import Signer
from hotqueue.tasks.broker import ordering
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import Charge, Survey
from hotqueue.tasks.broker.relay import relay
from hotqueue.tasks.rules.history import LOST, error_line, how_it_killed, is_last
from hotqueue.tasks.rules.tally import KEEP_ENDED
from hotqueue.tasks.supervisor.neighbours import Neighbours
from hotqueue.tasks.supervisor.pending_writes import PendingWrites
from hotqueue.tasks.supervisor.queue_mending import QueueMending
from hotqueue.tasks.supervisor.queue_schedules import QueueSchedules
from hotqueue.tasks.supervisor.queue_statistics import QueueStatistics
from hotqueue.tasks.worker.running_table import read_fates, read_running
from hotqueue.tasks.worker.task_log import about, shown

log = logging.getLogger("hotqueue.worker")

LET_GO_AT_ONCE = 20  # portions of results that a sweep lets go of
FOLLOWED_AT_ONCE = 20  # portions of ends of tasks that a sweep follows to the steps behind them
EXPIRED_NAMED = 20  # of so many the log says which
MARGIN_MS = 2000  # so long before the end of a lease that was not renewed in time
IN_A_ROW = 3.0  # seconds between two of our sweeps at most, for what was seen well at both to have been well between them
ALIVE_MS = 15_000  # for which whoever declares schedules counts as alive, at most
REVOKED_MS = 3_600_000  # as long as where a program revokes, client/result.py


class QueueUpkeep:
    """One queue as this process keeps it in order.

    Args:
        terminate: called with the id of a running task that is to be stopped, whoever runs it; or with an order to a worker,
            and then it tells whether that is obeyed here.
        give_up: called with the queue, one of our workers that is not registered there, and when that was asked (monotonic).
        attend: called with the queue and how many suspects wait there; it may start a quarantine process.
        signer: of the queue's tasks.
        is_burst: this process will not be here for long.
        keep_ended, code_version: see `QueueStatistics`.

    Attributes:
        schedules, statistics: those of the queue.
        mending: what is looked for there now and then.
        pending_writes: those that could not be done yet.
        holds: our workers may hold something here, so that their leases are to be renewed.
        is_watched: something was seen here that the next sweep has to show again.
        sharers: how many processes sweep it in turns: what is to be done now and then, each does as much more seldom.
        renew_at: when our workers that hold nothing are to be registered anew (monotonic).
    """

    def __init__(
        self,
        broker: Broker,
        lease_ms: int,
        neighbours: Neighbours,
        terminate: Callable[[str], object],
        give_up: Callable[[Broker, str, float], None],
        attend: Callable[[Broker, int], None],
        signer: Signer | None = None,
        is_burst: bool = False,
        keep_ended: int = KEEP_ENDED,
        code_version: str = "",
    ) -> None:
        self.broker = broker
        self.statistics = QueueStatistics(broker, keep_ended, code_version)
        self.schedules = QueueSchedules(broker, signer, min(lease_ms, ALIVE_MS), is_patient=not is_burst)
        self.mending = QueueMending(broker, self.statistics, self.schedules)
        self.pending_writes = PendingWrites(broker.name)
        self._lease_ms = lease_ms
        self._neighbours = neighbours
        self._terminate = terminate
        self._give_up = give_up
        self._attend = attend
        self.holds = self.is_watched = False
        self.renew_at = math.inf
        self.sharers = 1
        self._healthy_since: float | None = None
        self._swept_at = 0.0
        self._seen_at = self._seen_before = -1
        self._said = ""

    # --- how it is with its server -------------------------------------------------------------------------------

    def note_swept_before(self, at: int) -> None:
        """Note when somebody swept this queue before us (ms of the server's time, -1 for not lately)."""
        self._seen_at = max(self._seen_at, at)

    def swept(self, survey: Survey, asked_at: float) -> None:
        """Note that the queue could be swept, for which its server was asked then, and what the next sweep has to show again."""
        now = time.monotonic()
        self._seen_before, self._seen_at = self._seen_at, survey.now
        if self._healthy_since is None or now - self._swept_at > IN_A_ROW:
            self._healthy_since = now
        self._swept_at = now
        self.schedules.note(survey.now, survey.slot, asked_at)
        self.is_watched = bool(survey.suspects or any(left < 0 for _, left in survey.others))

    def not_swept(self) -> None:
        """Note that the queue could not be swept: leases count again only once it was seen well for as long as one lasts."""
        self._healthy_since = None
        self._seen_at = -1

    def _could_be_renewed(self, deadline: int) -> bool:
        """Tell whether a worker that lives could have renewed a lease that ended then: shortly before, the queue could be swept.

        Or we have seen it well ourselves, for as long as a lease lasts.
        """
        late = min(MARGIN_MS, self._lease_ms // 4)  # who renews is not always on time
        if deadline - self._lease_ms + late < self._seen_before <= deadline:
            return True
        return self._healthy_since is not None and (time.monotonic() - self._healthy_since) * 1000 >= self._lease_ms

    @contextmanager
    def by_itself(self) -> Iterator[None]:
        """Say what goes wrong with this queue, and stop no other for it; that the server is away is raised."""
        try:
            yield
        except Exception as error:
            if isinstance(error, ConnectionFailed) and error.retry:
                raise
            self.say(error)

    def say(self, error: Exception) -> None:
        """Log once what is wrong here; a bug of ours, or what nobody has thought of that keys may hold, with its traceback."""
        if repr(error) == self._said or isinstance(error, NewerQueue):  # which workers say, and the next sweep knows
            return
        self._said = repr(error)
        if isinstance(error, HotQueueError):
            log.error("upkeep of queue %s: %s; trying again until it is put right", self.broker.name, error)
        else:
            text = "upkeep of queue %s failed: %r; trying again, and the other queues are looked after as ever"
            log.error(text, self.broker.name, error, exc_info=error)

    def is_well(self) -> None:
        """Note that all was done: what goes wrong next is logged again."""
        self._said = ""

    # --- what a sweep found --------------------------------------------------------------------------------------

    def look_after(self, survey: Survey, healthy: float) -> None:
        """Do what a sweep shows to be due, each thing though another fails.

        Args:
            healthy: for how many seconds the server was seen well, and its clock steady.

        Raises:
            Exception: the first that failed.
        """
        failed: list[Exception] = []

        def tried(what: Callable[..., object], *args: Any) -> None:
            try:
                what(*args)
            except Exception as error:
                failed.append(error)

        for worker in survey.gone:
            self._give_up(self.broker, worker, survey.asked)
        if survey.is_newer:
            return
        for worker, left in survey.others:
            counts = healthy * 1000 >= self._lease_ms and self._could_be_renewed(survey.now + left)
            tried(self._look_at, worker, left < 0 and counts)
        tried(self._attend, self.broker, survey.suspects)
        for task_id, record in survey.stops.items():
            tried(self._obey if ordering.is_order(task_id) else self._stop, task_id, record, survey.now)
        if survey.has_expired:
            tried(self._expire)
        if survey.has_let_go:
            tried(self.broker.let_go, LET_GO_AT_ONCE)
        if survey.has_ends:
            tried(self.broker.follow, FOLLOWED_AT_ONCE)
        if survey.has_posted:
            tried(relay, self.broker)
        if survey.has_receipts:
            tried(self.mending.look_at_sources, survey.now)
        tried(self.statistics.note_deploy)
        if survey.unfinished:
            tried(self.mending.audit, self.sharers)
            tried(self.mending.free, self.sharers)
            tried(self.mending.look_at_steps, self.sharers)
        tried(self.mending.look_at_results)
        tried(self.mending.trim, survey.now // 60_000, self.sharers)
        if failed:
            raise failed[0]

    def _expire(self) -> None:
        ended = self.broker.expire_all()
        for task_id in ended[:EXPIRED_NAMED]:
            text = "task %s of queue %s ended without running: it waited past its expires"
            log.warning(text, shown(task_id), self.broker.name, extra=about(task_id))
        if len(ended) > EXPIRED_NAMED:
            log.warning("%s of queue %s ended in the same way", plural(len(ended) - EXPIRED_NAMED, "more task"), self.broker.name)

    def _obey(self, order: str, until: bytes, now: int) -> None:
        if ordering.has_lapsed(until, now) or self._terminate(order):
            self.broker.strike_order(order)

    def _stop(self, task_id: str, record: bytes, _now: int) -> None:
        # It may have come back to the queue meanwhile; if it runs in a process of ours, that is ended.
        need = self.broker.look(task_id).history.need
        if self.broker.revoke(task_id, record, REVOKED_MS, need) == "running":
            self._terminate(task_id)

    def _look_at(self, worker: str, is_overdue: bool) -> None:
        """Reap another's worker if it is dead: known by its flock on this host, else by its lease. One that lives, but is
        stopped (Ctrl-Z) together with its supervisor, keeps what it runs and nothing else.

        After an outage, or when the server's clock was put ahead, every lease has run out, of the living as well: so leases
        count only once this process has seen the server well for as long as a lease lasts; and the queue, unless others have.
        """
        broker, (folder, supervisor) = self.broker, self._neighbours.where_is(self.broker, worker)
        alive = presence.is_alive(folder, worker)
        if alive is False and supervisor and presence.is_alive(folder, supervisor):
            alive = None  # its supervisor saw how it died, and puts that in order; unless it is stopped
        if alive is False:
            self._reap_dead_neighbour(worker, folder, supervisor)
        elif alive and is_overdue and not read_running(presence.read_state(folder, worker) or b""):
            if broker.reap(worker, known_dead=False) is not None:
                log.warning("worker %s of queue %s is stopped: what it had not started goes to others", worker, broker.name)
        elif alive is None and is_overdue:
            cause = _line("host lost", "its worker's lease ran out (host gone, or stopped)")
            if broker.reap(worker, known_dead=False, charge=Charge(cause, None, LOST)) is not None:
                text = "worker %s of queue %s is lost: its lease ran out; what it held goes back to the queue"
                log.warning(text, worker, broker.name)

    def _reap_dead_neighbour(self, worker: str, folder: str, supervisor: str) -> None:
        states = presence.read_states(folder, worker)
        running = read_running(states.get(worker, b""))
        charged = [task_id for task_id, _, _ in running] if worker in states else None
        if supervisor or charged is None:
            cause = _line("host lost", "its worker and the worker's supervisor died")
            charge = Charge(cause, charged, LOST)
        else:
            ran = sum(len(read_running(state)) for state in states.values())
            last = [task_id for task_id, fate in read_fates(states[worker]).items() if is_last(fate, ran)]
            cause = _line(*how_it_killed("its process died", ran))
            charge = Charge(cause, charged, ran=ran, last=last)
        self.broker.reap(worker, known_dead=True, charge=charge)
        self._neighbours.note_reaped(folder, worker)
        log.warning("worker %s of queue %s died; what it held goes back to the queue", worker, self.broker.name)


def _line(kind: str, error: str) -> str:
    return json.dumps(error_line(kind, error, int(time.time() * 1000)))
