"""Statistics of many queues, read together: a thousand cost a few trips. Those of one are in statistics.py. Reads only.

What is folded in between two trips may be missed or counted twice, until it is read again: exact is the reader of one queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hotqueue import keys
from hotqueue.monitor.crowd import ask, run
from hotqueue.monitor.statistics import Mark, Series, deploys, span_from
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.script_keys import ScriptKeys
from hotqueue.tasks.broker.statistics import Statistics, field_of
from hotqueue.tasks.broker.stored_queue import whole
from hotqueue.tasks.broker.unfolded import Unfolded, names_in
from hotqueue.tasks.rules.tally import Tally, decode
from hotqueue.tasks.wire import counting
from hotqueue.tasks.wire.counting import ALL

DOING = "reading statistics"
MOST_NAMES = 100  # of a queue, that are read
FEW = 20  # queues whose deploys are read: a program marks its deploys in all of its own


@dataclass
class _Found:
    """What there is of one queue.

    Attributes:
        names: of tasks, by their numbers from 1 on.
        tallies: of each name that is wanted, span by span.
    """

    queue: str
    names: list[str]
    unfolded: Unfolded
    tallies: dict[str, list[Tally]] = field(default_factory=dict)


def overall(store: Store, queues: Sequence[str], step: int, spans: int) -> Series:
    """Return what happened in several queues together, as one series without a queue."""
    first = _first(store, queues, step, spans)
    tallies = [Tally() for _ in range(spans)]
    for found in _read(store, queues, step, first, spans, by_task=False):
        for tally, more in zip(tallies, found.tallies[ALL], strict=True):
            tally.add(more)
    return _series("", ALL, step, first, tallies)


def by_task(store: Store, queues: Sequence[str], step: int, spans: int) -> list[Series]:
    """Return what happened to the tasks of each name in several queues, where anything did."""
    first = _first(store, queues, step, spans)
    return [
        _series(found.queue, name, step, first, tallies)
        for found in _read(store, queues, step, first, spans, by_task=True)
        for name, tallies in sorted(found.tallies.items())
        if any(tally.counts for tally in tallies)
    ]


def _first(store: Store, queues: Sequence[str], step: int, spans: int) -> int:
    """Return the number of the first span that is shown, by the server's clock."""
    now = Statistics(store, queues[0]).now() if queues else datetime.now(UTC).timestamp()
    return int(now) // step - spans + 1


def _series(queue: str, task: str, step: int, first: int, tallies: Sequence[Tally]) -> Series:
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    at = (begin + timedelta(seconds=(first + n) * step) for n in range(len(tallies)))
    return Series(queue, task, step, tuple(span_from(when, tally) for when, tally in zip(at, tallies, strict=True)))


def _read(store: Store, queues: Sequence[str], step: int, first: int, count: int, *, by_task: bool) -> list[_Found]:
    every = _unfolded(store, _with_any(store, queues))
    asked, places = [], list[tuple[_Found, str]]()
    for found in every:
        for number, name in enumerate([ALL, *found.names[:MOST_NAMES]]):
            if (name != ALL) == by_task:
                found.tallies[name] = [Tally() for _ in range(count)]
                fields = [field_of(step, number, span) for span in range(first, first + count)]
                asked.append(("HMGET", keys.statistics(found.queue), *fields))
                places.append((found, name))
    for (found, name), rows in zip(places, ask(store, asked, DOING), strict=True):
        for n, row in enumerate(rows if isinstance(rows, list) else ()):
            if row is not None and (tally := decode(row, first + n)) is not None:
                found.tallies[name][n].add(tally)
    for found in every:
        _add_unfolded(found, step, first, count, by_task)
    return every


def _with_any(store: Store, queues: Sequence[str]) -> list[str]:
    asked = [("EXISTS", *(key(queue) for key in (keys.statistics, keys.accounts, keys.enqueued))) for queue in queues]
    return [queue for queue, reply in zip(queues, ask(store, asked, DOING), strict=True) if isinstance(reply, int) and reply]


def _unfolded(store: Store, queues: Sequence[str]) -> list[_Found]:
    asked: list[tuple[Any, ...]] = []
    for queue in queues:
        asked.append(("HGET", keys.statistics(queue), "task names"))
        asked.append(("LRANGE", keys.accounts(queue), 0, -1))
        asked.append(("HGETALL", keys.enqueued(queue)))
    replies = ask(store, asked, DOING)
    every = []
    for n, queue in enumerate(queues):
        names, accounts, pairs = replies[3 * n : 3 * n + 3]
        if any(isinstance(reply, Exception) for reply in (names, accounts, pairs)):
            continue  # the snapshot says what is wrong with it
        enqueued = {name: whole(number) for name, number in zip(pairs[::2], pairs[1::2], strict=True)}
        listed = names_in(names)
        every.append(_Found(queue, listed, Unfolded(b"", listed, 0, list(accounts), enqueued)))
    return every


def _add_unfolded(found: _Found, step: int, first: int, count: int, by_task: bool) -> None:
    if not (found.unfolded.accounts or found.unfolded.enqueued):
        return
    for (name, its_step, span), tally in found.unfolded.spans().items():
        if its_step == step and first <= span < first + count and (name != ALL) == by_task:
            found.tallies.setdefault(name, [Tally() for _ in range(count)])[span - first].add(tally)


def oldest(store: Store, queues: Sequence[str]) -> dict[str, float]:
    """Return how many seconds the first task that waits for a worker has waited in each queue, where one does.

    Of each set in which tasks are ready, the first one alone is looked at.
    """
    if not queues:
        return {}
    places = [(queue, key) for queue in queues for key in ScriptKeys(queue).ready]
    heads = ask(store, [("ZRANGE", key, 0, 0) for _, key in places], "looking for the oldest task")
    ids: dict[str, list[bytes]] = {}
    for (queue, _), head in zip(places, heads, strict=True):
        if isinstance(head, list) and head:
            ids.setdefault(queue, []).append(head[0])
    replies = run(store, scripts.GLIMPSE, [(ScriptKeys(queue).glimpse(), some) for queue, some in ids.items()], DOING)
    now, found = Statistics(store, queues[0]).now(), dict[str, float]()
    for queue, reply in zip(ids, replies, strict=True):
        since = [due for data in (reply[1::2] if isinstance(reply, list) else ()) if (due := counting.due_at(data)) > 0]
        if since:
            found[queue] = max(0.0, now - min(since))
    return found


def marks(store: Store, queues: Sequence[str]) -> list[Mark]:
    """Return the deploys that were marked in several queues, each version once, the newest last."""
    there = ask(store, [("EXISTS", keys.deploys(queue)) for queue in queues], "reading deploys")
    some = [queue for queue, reply in zip(queues, there, strict=True) if reply == 1]
    every = sorted((mark for queue in some[:FEW] for mark in deploys(store, queue)), key=lambda mark: mark.at)
    return list({mark.version: mark for mark in every}.values())
