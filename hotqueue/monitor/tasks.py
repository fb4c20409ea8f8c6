"""Lists of tasks, by how they are: what commands, screens and pages show of them. Reads only; unpickles nothing.

Pages are read one after another until enough is found, or as many tasks were looked at as may be: so a list costs the server
as much as it shows, and a search no more than it was given. One task alone: one_task.py.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hotqueue.errors import HotQueueError
from hotqueue.monitor import ended, finding
from hotqueue.monitor.filters import DEAD, ENDED, PARKED, RETRYING, RUNNING, SCHEDULED, STATES, UNENDED, WAITING, Filter
from hotqueue.monitor.row import Row as Row
from hotqueue.monitor.row import attempts_of
from hotqueue.monitor.row import moment_of as moment_of
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.listing import Standing
from hotqueue.tasks.client.dead import DeadList, DeadTask
from hotqueue.tasks.wire.preview import preview

LOOK_AT = 10_000  # tasks that are looked at for one list, if nobody says more
MERGED = 10  # queues of which one list in order of time is made: of each a page is read for it

_HOW = {  # of what stands in some way, in words
    "in hand": "in a worker's hand",
    "ready": "ready",
    "suspect": "waits for quarantine",
    "gate": "at a gate",
    "unique": "behind one with its unique key",
    "step": "behind other steps",
    "scheduled": "for its time",
}


@dataclass
class Search:
    """A search for tasks.

    Attributes:
        limit: how many are wanted at most.
        look_at: how many may be looked at.
        by_time: those that are over come the last one first, whatever queue they are of; else queue by queue, as all others do.
        looked: how many were.
        is_cut: it ended since it may look at no more.
        has_more: there are more that are wanted, beyond the limit.
        refused: a sentence for each queue that cannot be read.
        names: of the tasks that were looked at.
        goes_on: asked at each task that is read, also of those in other states; once it is false, the search ends.
    """

    wanted: Filter = field(default_factory=Filter)
    limit: int = 20
    look_at: int = LOOK_AT
    by_time: bool = True
    looked: int = 0
    is_cut: bool = False
    has_more: bool = False
    refused: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    goes_on: Callable[[], bool] = lambda: True

    def rows(self, store: Store, queues: Iterable[str], states: Sequence[str] | None = None) -> Iterator[Row]:
        """Yield the tasks that are wanted, of these queues, in these states; without any, in those that the filter says."""
        found, now = 0, int(time.time() * 1000)
        if states is None:
            states = STATES if any(term.field == "state" for term in self.wanted.terms if not term.is_not) else UNENDED
        states = self.wanted.names("state", states)
        for row in self._all(store, finding.with_tasks(store, self.wanted.names("queue", queues)), states):
            if self.looked >= self.look_at:
                self.is_cut = True
                return
            self.looked += 1
            self.names.add(row.task)
            if not self.wanted.is_met_by(row, now):
                continue
            if found == self.limit:
                self.has_more = True
                return
            found += 1
            yield row

    def _all(self, store: Store, queues: Sequence[str], states: Sequence[str]) -> Iterator[Row]:
        """Yield the tasks of some queues; of those that are over the last one first, unless the queues are very many."""
        brokers = [Broker(store, name) for name in queues]
        if self.by_time and set(states) <= {DEAD, ENDED} and len(queues) <= MERGED:
            parts = [self._each(broker, [state]) for broker in brokers for state in states]
            return heapq.merge(*parts, key=_over, reverse=True)
        return itertools.chain.from_iterable(self._each(broker, states) for broker in brokers)

    def _each(self, broker: Broker, states: Sequence[str]) -> Iterator[Row]:
        """Yield the tasks of a queue; one that is newer than we are, or of which a key is wrong, hides none of the others."""
        try:
            for state in states if self.goes_on() else ():
                for row in _of(broker, state):
                    if not self.goes_on():
                        return
                    if row.state == state:
                        yield row
        except HotQueueError as error:
            if getattr(error, "retry", False):
                raise
            self.refused.append(str(error))


def _of(broker: Broker, state: str) -> Iterator[Row]:
    """Return the tasks of a queue in a state, and others that stand among them."""
    if state == DEAD:
        return (dead_row(broker.name, dead) for dead in DeadList(broker).listed(0, None))
    return iter(ended.rows(broker.store, broker.name)) if state == ENDED else _standing(broker, state)


def _over(row: Row) -> float:
    """Return when a task died or ended, in seconds."""
    at = row.ended or row.died
    return at.timestamp() if at else 0


def _standing(broker: Broker, state: str) -> Iterator[Row]:
    pages = {
        RUNNING: broker.in_hand,
        WAITING: broker.waiting,
        RETRYING: broker.scheduled_tasks,
        SCHEDULED: broker.scheduled_tasks,
        PARKED: broker.parked_tasks,
    }
    for page in pages[state]():
        yield from (row_of(broker.name, standing) for standing in page)


def row_of(queue: str, standing: Standing) -> Row:
    """Return what is shown of an unfinished task."""
    call, past = preview(standing.envelope), standing.past
    return Row(
        standing.id,
        call.task,
        queue,
        _state(standing),
        _how(standing.how),
        call.args,
        call.priority,
        moment_of(call.created),
        moment_of(standing.score) if standing.how == "scheduled" else None,
        past.retries,
        past.deliveries,
        standing.worker,
        str(past.errors[-1].get("error", "")) if past.errors else "",
        attempts=past.tries + (standing.how == "in hand"),
    )


def dead_row(queue: str, dead: DeadTask) -> Row:
    """Return what is shown of a dead task."""
    return Row(
        *(dead.id, dead.task, queue, DEAD, "", dead.args, dead.priority, dead.sent),
        retries=dead.retries,
        deliveries=dead.deliveries,
        error=dead.reason,
        died=dead.died,
        attempts=attempts_of(dead.retries + dead.deliveries + dead.shared_deaths + dead.hosts_lost, dead.error),
    )


def _state(standing: Standing) -> str:
    how = standing.how
    if how == "in hand":
        return RUNNING
    if how == "scheduled":
        return RETRYING if standing.past.retries else SCHEDULED
    return WAITING if how in _HOW or how.startswith("paused:") else PARKED


def _how(how: str) -> str:
    kind, _, what = how.partition(":")
    parked = {"paused": f"{what} is paused", "task": f"no worker knows {what}", "python": f"needs Python {what}"}
    return _HOW.get(how) or parked.get(kind) or f"needs {how}"
