"""Finding: the queues that somebody names, and those in which a task is; or a sentence for what is not there. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS, HotQueueError
from hotqueue.hints import did_you_mean
from hotqueue.monitor import inventory
from hotqueue.monitor.words import printable
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import MORE
from hotqueue.tasks.broker.unfolded import names_in

T = TypeVar("T")

FEW = 20  # queues that are asked one by one
_TRACES = (keys.queue, keys.tasks, keys.dead, keys.workers, keys.seq, keys.schedules, keys.stats, keys.paused)


def queues(store: Store, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the queues that names and globs stand for, all that have tasks where none is given; a sentence for each that is not.

    Where a name is right, no other key of the server is looked at.
    """
    if not names:
        return inventory.queue_names(store), []
    found, doubts = inventory.meant(store, names)
    missing = [name for name in found if not has_trace(store, name)]
    return [name for name in dict.fromkeys(found) if name not in missing], [*doubts, *_said(store, missing)]


def has_trace(store: Store, name: str) -> bool:
    """Tell whether there is anything of a queue.

    Raises:
        ConfigError: no queue can have that name.
    """
    listed = keys.queue(keys.check_name(name))
    return bool(store.command(listed, "EXISTS", *(key(name) for key in _TRACES), doing=f"looking for queue {name!r}"))


def _said(store: Store, missing: Sequence[str]) -> list[str]:
    try:
        known = inventory.queue_names(store) if missing else []
    except STORE_ERRORS:
        known = []
    shown = ", ".join(map(printable, known[:10])) + " …" * (len(known) > 10)
    there = f"; there are {shown}" if known else "; there is no queue at all"
    return [f"there is no queue {name!r:.80} in {store}{did_you_mean(name, known) or there}" for name in missing]


def task_names(store: Store, names: Iterable[str]) -> list[str]:
    """Return the names of the tasks that live workers of some queues know, as far as they say."""
    found = {name for queue in names for worker in Broker(store, queue).workers() for name in worker.get("tasks", "").split()}
    return sorted(found - {MORE})


def known_tasks(store: Store, names: Iterable[str]) -> list[str]:
    """Return the names of tasks of some queues that anybody knows of: their live workers, and their statistics."""
    found = set[str]()
    for queue in names:
        found.update(task_names(store, [queue]), _counted(store, queue))
    return sorted(found - {""})


def _counted(store: Store, queue: str) -> Iterator[str]:
    """Yield the names of tasks of a queue that were ever enqueued or run, as far as statistics are kept."""
    doing = f"reading names of tasks of queue {queue!r}"
    yield from names_in(store.command(keys.statistics(queue), "HGET", keys.statistics(queue), "task names", doing=doing))
    for each in store.command(keys.enqueued(queue), "HGETALL", keys.enqueued(queue), doing=doing)[::2]:
        yield keys.text(each).partition(":")[2]


def queues_of(store: Store, task_id: str, names: Iterable[str]) -> list[str]:
    """Return those of some queues that know a task; of one that cannot be read, nobody knows."""
    places = each(names, lambda name: (name, Broker(store, name).facts(task_id).where), [])
    return [name for name, where in places if where != "unknown"]


def with_tasks(store: Store, names: Sequence[str]) -> list[str]:
    """Return those of some queues in which there are tasks, unfinished, dead or ended: of a thousand most have none."""
    asked = [("EXISTS", keys.tasks(name), keys.dead(name), keys.accounts(name), keys.ended(name)) for name in names]
    doing = "looking which queues have tasks"
    if store.is_cluster:
        replies = [store.repeat(partial(store.command, each[1], *each, doing=doing)) for each in asked]
    else:
        replies = store.repeat(partial(pipeline.ask_all, store, asked, doing)) if asked else []
    return [name for name, reply in zip(names, replies, strict=True) if reply != 0]  # what cannot be told is looked at


def likely(store: Store, task_id: str, names: Sequence[str]) -> list[str]:
    """Return those of many queues in which there is a trace of a task; of one that has ended without a result there is none."""
    if store.is_cluster or len(names) <= FEW:
        return list(names)
    asked = [
        part
        for name in names
        for part in (
            ("HEXISTS", keys.tasks(name), task_id),
            ("HEXISTS", keys.dead_tasks(name), task_id),
            ("EXISTS", keys.result(name, task_id)),
        )
    ]
    replies = store.repeat(partial(pipeline.ask_all, store, asked, "looking for a task"))
    return [name for at, name in enumerate(names) if any(reply != 0 for reply in replies[3 * at : 3 * at + 3])]


def each(names: Iterable[str], read: Callable[[str], T], refused: list[str]) -> Iterator[T]:
    """Yield what is read of each of some queues; one that is newer than we are, or of which a key is wrong, hides no other.

    Args:
        refused: gets the sentence of each that cannot be read.

    Raises:
        ConnectionFailed: the server is away.
    """
    for name in names:
        try:
            found = read(name)
        except HotQueueError as error:
            if getattr(error, "retry", False):
                raise
            refused.append(str(error))
        else:
            yield found
