"""Upkeep: keeps queues in order whatever dies: a round for each server; what drags goes to others.

A supervisor does it for its children, `run_worker` for itself; any number of them may do it side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hotqueue import keys
from hotqueue.signing import Signer
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules.tally import KEEP_ENDED
from hotqueue.tasks.supervisor.declaring import Declared
from hotqueue.tasks.supervisor.neighbours import Neighbours
from hotqueue.tasks.supervisor.queue_upkeep import QueueUpkeep
from hotqueue.tasks.supervisor.upkeep_rounds import Round
from hotqueue.tasks.worker.running_table import read_running
from hotqueue.tasks.worker.start_permits import StartPermits

DRAGS = 0.05  # seconds after which a task in hand drags, and the unstarted ones behind it go to others
STOOD_STILL = 5.0  # seconds between two looks after which this process was stopped meanwhile
REGROUP = 1.0  # seconds between two looks at which node of a Cluster has which queue
WRITING = 1.0  # seconds for pending writes once the last child has gone; neighbours can do the rest
WRITING_SLOWLY = 5.0  # the same, while Redis takes one after the other


class Upkeep:
    """The upkeep of some queues by one process.

    Args:
        brokers: the queues, in the order in which the workers have them.
        terminate: called with the id of a running task that is to be stopped, or an order: see `QueueUpkeep`.
        give_up: called with a queue, one of our workers that others have given up there, so that what it runs of it is lost, and
            when that was asked (monotonic).
        attend: called, in the thread of a beat, with each queue and how many suspects wait there.
        ended: called in the thread of a beat when it is done; it wakes whoever then calls `conclude`.
        signer: called with each queue; returns the signer of its tasks.
        is_burst: this process will not be here for long.
        keep_ended, code_version: see `QueueUpkeep`.

    Attributes:
        own: the workers whose leases are renewed.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        lease_ms: int,
        terminate: Callable[[str], object] = lambda _id: None,
        give_up: Callable[[Broker, str, float], None] = lambda _queue, _worker, _asked: None,
        ended: Callable[[], None] = lambda: None,
        attend: Callable[[Broker, int], None] = lambda _queue, _suspects: None,
        signer: Callable[[Broker], Signer | None] = lambda _queue: None,
        is_burst: bool = False,
        keep_ended: int = KEEP_ENDED,
        code_version: str = "",
    ) -> None:
        self.own: list[str] = []
        self._lease_ms = lease_ms
        self._terminate, self._give_up, self._ended = terminate, give_up, ended
        self._attend, self._signer, self._is_burst = attend, signer, is_burst
        self._told, self._seen_at = (keep_ended, code_version), time.monotonic()
        self._neighbours = Neighbours()
        self._queues: dict[Broker, QueueUpkeep] = {}
        self._rounds: dict[tuple[int, str], Round] = {}
        self._regroup_at = 0.0
        self.adopt(brokers)

    def adopt(self, brokers: Iterable[Broker]) -> None:
        """Look after these queues as well."""
        for broker in brokers:
            if broker not in self._queues:
                more = self._terminate, self._give_up, self._attend, self._signer(broker), self._is_burst, *self._told
                self._queues[broker] = QueueUpkeep(broker, self._lease_ms, self._neighbours, *more)
        self._group()

    def abandon(self, broker: Broker) -> bool:
        """Look after a queue no more: nobody here works at it; False while something is still to be written there."""
        if broker in self._queues:
            if self._queues[broker].pending_writes.are_left:
                return False
            del self._queues[broker]
            self._group()
        return True

    def _group(self) -> None:
        """Put queues together that live at one server: which node of a Cluster has a queue may change."""
        groups: dict[tuple[int, str], list[QueueUpkeep]] = {}
        for broker, queue in self._queues.items():
            place = (id(broker.store), broker.store.place_of(keys.tasks(broker.name)))
            groups.setdefault(place, []).append(queue)
        for place, queues in groups.items():
            if place not in self._rounds:
                self._rounds[place] = Round(self._lease_ms, self._neighbours, self._ended)
            self._rounds[place].queues = queues
            self._rounds[place].count = len(self._queues)
            self._rounds[place].note_schedules(queues)
        for place, each in list(self._rounds.items()):
            if place not in groups:
                each.queues = []
                if each.background.is_free and each.firing.is_free:
                    each.close()
                    del self._rounds[place]
        is_changing = any(broker.store.is_cluster for broker in self._queues)
        self._regroup_at = time.monotonic() + REGROUP if is_changing else float("inf")

    @property
    def rounds(self) -> list[Round]:
        """The rounds, one a server."""
        if time.monotonic() >= self._regroup_at:
            self._group()
        return list(self._rounds.values())

    # --- beats ---------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Do what is due, in the caller's thread."""
        for each in self.rounds:
            if each.is_due:
                each.beat(self.own)

    def begin(self) -> None:
        """Have what is due done, by a thread for each server that has nothing under way."""
        for each in self.rounds:
            if each.queues and each.background.is_free and each.is_due:
                own = list(self.own)
                each.background.begin(lambda each=each, own=own: each.beat(own))  # type: ignore[misc]
        self._note_being_here()
        self._begin_firing()

    def begin_beside_beats(self) -> None:
        """Have schedules fired while a beat is under way, for somebody who waits until none is, and wants no other to begin."""
        self._note_being_here()
        if not all(each.background.is_free for each in self._rounds.values()):
            self._begin_firing()

    def _begin_firing(self) -> None:
        for each in self.rounds:
            if each.firing.is_free and each.fires_at() <= time.monotonic():
                each.firing.begin(each.fire)

    def conclude(self) -> None:
        """End the threads that are done."""
        for each in list(self._rounds.values()):
            each.background.conclude()
            each.firing.conclude()

    # --- schedules -----------------------------------------------------------------------------------------------

    def declare(self, declared: Mapping[Broker, Declared]) -> None:
        """Declare these schedules from now on, instead of those of before."""
        for broker, each in declared.items():
            if broker in self._queues:
                self._queues[broker].schedules.declare(each)
        for some in self._rounds.values():
            some.note_schedules(some.queues)

    def fire(self) -> None:
        """Declare schedules and fire what is due, in the caller's thread: for somebody who does not stay.

        Raises:
            HotQueueError: a server is away.
        """
        for each in self.rounds:
            there = many_queues.have_schedules([queue.broker for queue in each.queues])
            for queue, may_have in zip(each.queues, there, strict=True):
                if may_have:
                    queue.schedules.note(*queue.broker.next_slot())
            each.note_schedules(each.queues)
            each.fire()

    def until_fire(self) -> float:
        """Return seconds until there is something to do about schedules, as far as nobody is about it."""
        found = min([each.fires_at() for each in self._rounds.values() if each.firing.is_free], default=float("inf"))
        return max(0.001, found - time.monotonic())

    def _note_being_here(self) -> None:
        """Note that this process runs; one that stood still was not there for the slots that passed meanwhile."""
        before, self._seen_at = self._seen_at, time.monotonic()
        if self._seen_at - before > STOOD_STILL:
            for queue in self._queues.values():
                queue.schedules.note_stopped()

    def end_schedules(self) -> None:
        """Fire nothing any more, and declare nothing: this process ends."""
        for broker, queue in self._queues.items():
            if queue.schedules.is_needed:
                self.write_later(broker, queue.schedules.leave)

    def count_the_last(self) -> None:
        """Count what our workers told at their end, where fewer ended tasks are kept than usual: the last of them has gone."""
        for broker, queue in self._queues.items():
            if queue.statistics.is_to_be_finished():
                self.write_later(broker, queue.statistics.finish)

    # --- what is under way ---------------------------------------------------------------------------------------

    def note_holds(self, brokers: Iterable[Broker]) -> None:
        """Note at which queues our workers have fetched something: their leases are renewed there until they hold nothing."""
        for broker in brokers:
            if broker in self._queues:
                self._queues[broker].holds = True

    def wait(self, seconds: float) -> None:
        """Wait so long at most for what is under way."""
        until = time.monotonic() + seconds
        for each in list(self._rounds.values()):
            each.background.wait(max(0.0, until - time.monotonic()))
            each.firing.wait(max(0.0, until - time.monotonic()))

    def close(self) -> None:
        """Drop what connections are of its own, where no thread is at work; nothing is to be done any more."""
        self.conclude()
        for each in self._rounds.values():
            if each.background.is_free:
                each.close()

    @property
    def is_free(self) -> bool:
        """True while no thread of ours is there."""
        return all(each.background.is_free and each.firing.is_free for each in list(self._rounds.values()))

    @property
    def is_due(self) -> bool:
        """True when there is something to do."""
        return any(each.is_due for each in self.rounds)

    @property
    def writes_pending(self) -> bool:
        """True while Redis has not taken all writes."""
        return any(queue.pending_writes.are_left for queue in self._queues.values())

    def last_patience(self) -> float:
        """Return for how long pending writes are worth waiting for at the end: longer while Redis takes them, though slowly."""
        wrote_at = max((queue.pending_writes.wrote_at for queue in self._queues.values()), default=0.0)
        return WRITING if time.monotonic() - wrote_at > WRITING else WRITING_SLOWLY

    def write_later(self, broker: Broker, write: Callable[[], None]) -> None:
        """Have something written at a queue, now or when its server is back; it may be repeated."""
        if broker in self._queues:  # else it was let go of: nothing was left there
            self._queues[broker].pending_writes.add(write)

    def sweep_soon(self, *brokers: Broker) -> None:
        """Have the next beats sweep, these queues among others: somebody died, and may have left more than we know of."""
        for broker in brokers:
            if broker in self._queues:
                self._queues[broker].is_watched = True
        for each in list(self._rounds.values()):
            each.soon()

    def seconds_since_success(self) -> float | None:
        """Return how long ago a server last answered; None if none ever did."""
        answered = [each.succeeded for each in list(self._rounds.values()) if each.succeeded is not None]
        return time.monotonic() - max(answered) if answered else None

    # --- what drags ----------------------------------------------------------------------------------------------

    def take_back_if_dragging(
        self, worker: str, state: bytes, permits: StartPermits, brokers: Sequence[Broker] | None = None
    ) -> None:
        """As `take_back`, when the task in hand takes its time."""
        running = read_running(state)
        if running and time.monotonic() - running[0][1] >= DRAGS:
            self.take_back(worker, permits, brokers)

    def take_back(self, worker: str, permits: StartPermits, brokers: Sequence[Broker] | None = None) -> None:
        """Have a worker's unstarted tasks put back: it starts none of them from now on; what cannot be written now is later.

        Args:
            brokers: the worker's queues, in its order; by default all of ours.
        """
        theirs = list(self._queues) if brokers is None else brokers
        for (queue, number), count in permits.drain().items():
            if queue < len(theirs):
                self.write_later(theirs[queue], _taking_back(theirs[queue], worker, number, count))


def _taking_back(broker: Broker, worker: str, number: int, count: int) -> Callable[[], None]:
    def write() -> None:
        broker.take_back(worker, number, count)

    return write
