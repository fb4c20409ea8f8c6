"""Acting: what commands, screens and pages do to queues and to tasks that somebody has chosen. Unpickles nothing.

A queue is made of a store here, with none of its code: tasks go by their names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hotqueue.monitor.workers import Worker
from hotqueue.queue import HotQueue
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.discarding import LATE
from hotqueue.tasks.broker.ordering import order_of
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.workflow.crossing import bring
from hotqueue.tasks.workflow.revoking import REVOKED, revoke_some

Chosen = Mapping[str, Sequence[str]]  # ids of tasks, by their queue
Progress = Callable[[int], None]  # told how many more are done

REVOKED_AT_ONCE = 250  # tasks, with some 15 commands each: others wait for so long
ORDER_LASTS = 10.0  # seconds for which an order waits for whoever it is for: a supervisor looks once a second


def queue_at(store: Store, name: str) -> HotQueue:
    """Return a queue of a store, over its connections."""
    made = HotQueue(name, url="redis://localhost")  # connects to nothing
    registry_of(made).move(store)
    return made


@dataclass
class Done:
    """What was done.

    Attributes:
        count: to how many tasks; `undoable`: how many of them `undo_discard` can bring back.
        missing: ids of tasks to which it could not be, since they are not there (any more).
        kept: id of a task that stays dead → the one that has its unique key; of one that does not come back → why, of WHY_NOT.
        said: of how many tasks `revoke` said what, such as "running, not stopped".
    """

    count: int = 0
    undoable: int = 0
    missing: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)


def undo_hint(done: Done, by: str) -> str:
    """Return what there is to say of how tasks that were thrown away come back, behind a semicolon.

    Args:
        by: what does it: ``U brings``.
    """
    if not done.undoable:
        return "; for good: there was no room to keep any, or others waited for them" if done.count else ""
    return f"; for five minutes {by} {f'back {done.undoable} of them' if done.undoable < done.count else 'them back'}"


def retry(store: Store, chosen: Chosen, progress: Progress = lambda _n: None) -> Done:
    """Put dead tasks back into their queues with a clean slate."""
    done = Done()
    for queue, some in _portions(chosen):
        back, kept = Broker(store, queue).revive_free(some)
        done.count += len(back)
        done.kept |= kept
        there = {*back, *kept}
        done.missing += [each for each in some if each not in there]
        progress(len(some))
    _tell(store, chosen)
    return done


def _tell(store: Store, queues: Iterable[str]) -> None:
    """Have other queues hear of it, whose workflows had steps here: no worker may be there to tell them."""
    for queue in queues:
        bring(Broker(store, queue))


def discard(store: Store, chosen: Chosen, progress: Progress = lambda _n: None, mark: str = "") -> Done:
    """Throw dead tasks away.

    Args:
        mark: by which `undo_discard` can tell them from others.
    """
    done = Done()
    for queue, some in _portions(chosen):
        count, kept = Broker(store, queue).throw_away(some, mark)
        done.count, done.undoable = done.count + count, done.undoable + kept
        progress(len(some))
    _tell(store, chosen)
    return done


def undo_discard(store: Store, queues: Iterable[str], ids: Sequence[str] = (), mark: str = "") -> Done:
    """Bring dead tasks of some queues back that were thrown away within five minutes: those of these ids, or all.

    Args:
        mark: only what was thrown away with it.
    """
    done = Done()
    for queue in queues:
        broker = Broker(store, queue)
        back = broker.undo_discard(ids or broker.discarded_ids(), mark)
        done.count += len(back.ids)
        done.kept = {each: why for each, why in done.kept.items() if each not in back.ids}
        done.kept |= {each: why for each, why in back.refused.items() if done.kept.get(each, LATE) == LATE}
    return done


def revoke(store: Store, chosen: Chosen, terminate: bool, progress: Progress = lambda _n: None) -> Done:
    """Revoke tasks, as `AsyncResult.revoke` does: one that waits never runs.

    Args:
        terminate: end the processes of those that run.
    """
    done = Done()
    for queue, some in _portions(chosen, REVOKED_AT_ONCE):
        said = _terminated(queue_at(store, queue), some, progress) if terminate else revoke_some(Broker(store, queue), some)
        for what, number in said.items():
            done.said[what] = done.said.get(what, 0) + number
        done.count += said.get(REVOKED, 0)
        progress(0 if terminate else len(some))
    return done


def _terminated(queue: HotQueue, ids: Sequence[str], progress: Progress) -> dict[str, int]:
    """Revoke tasks one after another: a process that ends takes its neighbours along, which start again."""
    found: dict[str, int] = {}
    for task_id in ids:
        said = queue.result(task_id).revoke(terminate=True)
        found[said] = found.get(said, 0) + 1
        progress(1)
    return found


def revoke_all(store: Store, queues: Iterable[str], task: str = "") -> int:
    """Revoke all tasks of some queues, or those of one name, however many: as `HotQueue.revoke_all`; return how many waited."""
    return sum(queue_at(store, name).revoke_all(task=task or None, all=not task) for name in queues)


def _portions(chosen: Chosen, size: int = BULK) -> Iterable[tuple[str, list[str]]]:
    for queue, ids in chosen.items():
        for start in range(0, len(ids), size):
            yield queue, list(ids[start : start + size])


def order_each(store: Store, programs: Mapping[str, Sequence[Worker]], verb: str) -> list[str]:
    """Have some programs do something, all at the same time; return those that did not say within ORDER_LASTS that they do.

    Args:
        programs: the workers of each, by its incarnation.
        verb: STOP or QUIET of ordering.py.
    """
    orders = {program: _Order(store, program, workers, verb) for program, workers in programs.items()}
    waiting, deadline = list(orders), time.monotonic() + ORDER_LASTS
    try:
        for each in orders.values():
            each.give()
        while waiting and time.monotonic() < deadline:
            waiting = [program for program in waiting if not orders[program].is_taken()]
            if waiting:
                time.sleep(0.1 if len(waiting) < 10 else 0.5)
    finally:
        for each in orders.values():
            each.strike()
    return waiting


class _Order:
    """What one program is told, in each queue that it serves."""

    def __init__(self, store: Store, program: str, workers: Sequence[Worker], verb: str) -> None:
        self._order = order_of(verb, program)
        self._brokers = [Broker(store, name) for name in dict.fromkeys(name for worker in workers for name in worker.queues)]

    def give(self) -> None:
        for broker in self._brokers:
            broker.order(self._order, int(2 * ORDER_LASTS * 1000))

    def is_taken(self) -> bool:
        return not all(broker.has_order(self._order) for broker in self._brokers)  # whoever it is for strikes it

    def strike(self) -> None:
        for broker in self._brokers:
            broker.strike_order(self._order)
