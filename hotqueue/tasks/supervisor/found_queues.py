"""FoundQueues: what follows from queues that globs find, or that are gone: processes work at them, and their upkeep is done.

Which there are is found out by a Discovery for each store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules import globs
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.supervisor.discovery import Discovery
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.served_queues import Queues
from hotqueue.tasks.worker import task_log
from hotqueue.tasks.worker.orders import MOST_QUEUES, Adopt, LetGo

log = logging.getLogger("hotqueue.worker")

ORDERS = 1 << 16  # orders are numbered up to this, and then from the beginning


@dataclass
class Late:
    """A queue that one process began to work at after its start.

    Attributes:
        number: under which the process knows it.
        order: the number of the last order about it.
        is_leaving: it was told to let go of it.
    """

    number: int
    order: int
    is_leaving: bool = False


class FoundQueues:
    """The queues of one supervisor that globs have found.

    Args:
        names: of queues, and globs.
        ended: called in a thread that has found something out.
    """

    def __init__(self, names: Sequence[str], queues: Queues, pool: Processes, state: Phase, ended: Callable[[], None]) -> None:
        self._names = names
        self._globs = [name for name in names if globs.is_glob(name)]
        self._queues, self._pool, self._state, self._ended = queues, pool, state, ended
        self._discoveries: list[Discovery] = []
        self._late: dict[Child, dict[Broker, Late]] = {}
        self._gone: set[Broker] = set()  # those that are still looked after
        self._orders = 0
        self._has_said_none = False

    def seek(self, stores: Sequence[Store], known: Sequence[Broker]) -> None:
        """Begin to look for queues at some stores; those that are known are worked at anyway."""
        for store in stores:

            def broker_of(name: str, store: Store = store) -> Broker:
                return self._queues.broker_of(name, store)

            self._discoveries.append(Discovery(self._names, store, broker_of, self._take_in, self._ended))
            self._discoveries[-1].leave_out(broker.name for broker in known if broker.store is store)
        self._has_said_none = any(globs.first_match(self._globs, broker.name) for broker in known)  # then it is not none

    def look_at_all(self, seconds: float) -> None:
        """See which queues are there, in the caller's thread, for so long at most."""
        for each in self._discoveries:
            each.look_at_all(seconds)

    def all(self) -> list[Broker]:
        """Return all that are there."""
        return [found.broker for each in self._discoveries for found in each.queues.values()]

    # --- in the supervisor's loop ----------------------------------------------------------------------------------

    def descriptors(self) -> dict[int, Discovery]:
        """Return what can be read when a queue has appeared."""
        return {fd: each for each in self._discoveries if (fd := each.fileno()) is not None}

    @property
    def is_free(self) -> bool:
        """True while no thread of ours is there."""
        return all(each.background.is_free for each in self._discoveries)

    def begin(self) -> None:
        """Have done what is due."""
        for each in self._discoveries:
            each.begin()

    def conclude(self) -> None:
        """Act upon what was found out; tell processes what they could not take in before."""
        for each in self._discoveries:
            each.background.conclude()
        self._late = {child: late for child, late in self._late.items() if child in self._pool.all}
        for child in self._pool.all:
            child.flush()
        self._abandon()
        if self._discoveries and not (self._has_said_none or self.all()):
            self._has_said_none = True
            log.info("no queue matches %s yet; waiting for one", ", ".join(self._globs))

    def _take_in(self, found: list[Broker], gone: list[Broker]) -> None:
        if self._state.upkeep is None:  # at the start: `tell` is still to come
            return
        if found:
            self._has_said_none = True
            log.info("found %s", task_log.queues(broker.name for broker in found))
            self._state.upkeep.adopt(found)
        if gone:
            log.info("letting go of %s: nothing is left there", task_log.queues(broker.name for broker in gone))
        for child in self._pool.all:
            if child.is_ready and child.suspects is None:
                self._adopt(child, found)
                self._let_go(child, gone)
        self._gone.update(gone)

    def tell(self, child: Child) -> None:
        """Have a process that has loaded the modules work at all that were found."""
        if child.suspects is None:
            self._adopt(child, self.all())

    def _adopt(self, child: Child, brokers: list[Broker]) -> None:
        all_late = self._late.setdefault(child, {})
        for broker in brokers:
            late = all_late.get(broker)
            if late is None:
                if broker in child.not_left() or broker.store not in child.stores:  # its modules are other ones now
                    continue
                if not child.left and len(child.queues) >= MOST_QUEUES:
                    log.error("process %d works at %d queues and takes no more: %s", child.pid, MOST_QUEUES, broker.name)
                    continue
                number = child.left.pop() if child.left else len(child.queues)
                child.queues[number:] = [broker, *child.queues[number + 1 :]]
                late = all_late[broker] = Late(number, 0)
            late.order, late.is_leaving = self._next_order(), False
            child.order(Adopt(late.number, late.order, child.stores.index(broker.store), broker.name))

    def _let_go(self, child: Child, brokers: list[Broker]) -> None:
        for broker in brokers:
            late = self._late.get(child, {}).get(broker)
            if late is not None:
                late.order, late.is_leaving = self._next_order(), True
                child.order(LetGo(late.number, late.order))

    def _next_order(self) -> int:
        self._orders = (self._orders + 1) % ORDERS
        return self._orders

    def left(self, child: Child, queue: int, order: int) -> None:
        """Note that a process has let go of a queue."""
        all_late = self._late.get(child, {})
        for broker, late in list(all_late.items()):
            if (late.number, late.order, late.is_leaving) == (queue, order, True):
                del all_late[broker]
                child.left.add(queue)

    def _abandon(self) -> None:
        """End the upkeep of queues at which nobody works any more."""
        if not self._gone or self._state.upkeep is None:
            return
        self._gone.difference_update(self.all())  # they came back
        served = {broker for late in self._late.values() for broker in late}
        for broker in self._gone - served:
            if self._state.upkeep.abandon(broker):
                self._queues.forget(broker)
                self._gone.discard(broker)
