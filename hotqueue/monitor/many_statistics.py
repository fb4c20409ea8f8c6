"""Statistics of many queues, read together: a thousand cost a few trips. Those of one are in statistics.py. Reads only.

Each queue is read by one script, so what is folded in meanwhile is neither missed nor counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.monitor.crowd import ask, keys_of, run
from hotqueue.monitor.known_spans import KnownSpans
from hotqueue.monitor.statistics import Mark, Series, Span, deploys, span_from
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.statistics import LANES, Statistics
from hotqueue.tasks.broker.stored_queue import FAR, whole
from hotqueue.tasks.broker.unfolded import Unfolded, names_in
from hotqueue.tasks.rules.tally import FOLDED, KEPT, Tally, decode
from hotqueue.tasks.wire import counting
from hotqueue.tasks.wire.counting import ALL

DOING = "reading statistics"
AT_ONCE = 200  # accounts of a queue that are read together with those of others
MOST_NAMES = 100  # of a queue, that are read
FEW = 20  # queues whose deploys are read: a program marks its deploys in all of its own


@dataclass
class Counted:
    """What there is of one queue.

    Attributes:
        version: changes whenever anything is counted there.
        names: of tasks, by their numbers from 1 on.
        rows: of each name that was asked for, span by span, as they are stored; none where the version is as it was known.
    """

    version: bytes
    names: list[str]
    rows: list[bytes]
    unfolded: Unfolded


Asked = tuple[str, int, int, bytes]  # a queue, the first span, how many, the version that is known


def overall(store: Store, queues: Sequence[str], step: int, spans: int) -> Series:
    """Return what happened in several queues together, as one series without a queue."""
    first = first_span(store, queues, step, spans)
    tallies = [Tally() for _ in range(spans)]
    for found in counted(store, [(queue, first, spans, b"") for queue in queues], step):
        for n, row in enumerate(found.rows if found is not None else ()):
            if row and (tally := decode(row, first + n)) is not None:
                tallies[n].add(tally)
        for span, tally in (found.unfolded.together(step) if found is not None else {}).items():
            if first <= span < first + spans:
                tallies[span - first].add(tally)
    return series_of("", ALL, step, first, tallies)


def by_task(store: Store, queues: Sequence[str], step: int, spans: int, known: KnownSpans | None = None) -> list[Series]:
    """Return what happened to the tasks of each name in several queues, where anything did.

    Args:
        known: what rows said at the last looks; takes in what they say at this one.
    """
    first, known = first_span(store, queues, step, spans), KnownSpans() if known is None else known
    every = counted(store, [(queue, first, spans, b"") for queue in queues], step, is_by_task=True)
    pairs = zip(queues, every, strict=True)
    return [each for queue, found in pairs if found is not None for each in series_in(queue, found, step, first, spans, known)]


def series_in(queue: str, found: Counted, step: int, first: int, count: int, known: KnownSpans) -> list[Series]:
    """Return what was counted of each name in a queue, where anything was."""
    return [
        Series(queue, name, step, row)
        for name, row in sorted(_spans(found, step, first, count, known).items())
        if name != ALL and any(any(span.counts.values()) for span in row)
    ]


def first_span(store: Store, queues: Sequence[str], step: int, spans: int) -> int:
    """Return the number of the first span that is shown, by the server's clock."""
    now = Statistics(store, queues[0]).now() if queues else datetime.now(UTC).timestamp()
    return int(now) // step - spans + 1


def series_of(queue: str, task: str, step: int, first: int, tallies: Sequence[Tally]) -> Series:
    """Return what was counted as a series."""
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    at = (begin + timedelta(seconds=(first + n) * step) for n in range(len(tallies)))
    return Series(queue, task, step, tuple(span_from(when, tally) for when, tally in zip(at, tallies, strict=True)))


def counted(store: Store, asked: Sequence[Asked], step: int, *, is_by_task: bool = False) -> list[Counted | None]:
    """Return what was counted in some queues, each as of one moment; None of one of which nothing is known.

    Args:
        is_by_task: of each name, not of all together.
    """
    found = counted_or_refused(store, asked, step, is_by_task=is_by_task)
    return [None if isinstance(each, HotQueueError) else each for each in found]  # the snapshot says what is wrong with it


def counted_or_refused(
    store: Store, asked: Sequence[Asked], step: int, *, is_by_task: bool = False
) -> list[Counted | HotQueueError | None]:
    """Return the same, of one that cannot be read the error."""
    which, kept, of_all = FOLDED.index(step), KEPT[step], int(not is_by_task)
    calls: list[pipeline.Call] = [
        (keys_of(queue).spans(), (which, kept, first, count, of_all, MOST_NAMES, version, AT_ONCE))
        for queue, first, count, version in asked
    ]
    replies = run(store, scripts.SPANS, calls, DOING)
    for n, reply in enumerate(replies):
        if reply == 1:  # nobody has counted there lately
            every_key, args = calls[n]
            replies[n] = run(store, scripts.SPANS, [(every_key, (*args[:-1], FAR))], DOING)[0]
    return [_counted(reply) for reply in replies]


def _counted(reply: Any) -> Counted | HotQueueError | None:
    if isinstance(reply, HotQueueError):
        return reply
    if not isinstance(reply, list):
        return None  # nothing was counted
    version, names, rows, accounts, pairs = reply
    enqueued = {name: whole(number) for name, number in zip(pairs[::2], pairs[1::2], strict=True)}
    listed = names_in(names)
    return Counted(version, listed, rows, Unfolded(version, listed, 0, accounts, enqueued))


def _spans(found: Counted, step: int, first: int, count: int, known: KnownSpans) -> dict[str, tuple[Span, ...]]:
    """Return what happened to the tasks of each name, span by span; of what is not folded in, also of further names."""
    rows = {name: found.rows[n * count : (n + 1) * count] for n, name in enumerate(found.names[:MOST_NAMES])}
    unfolded = found.unfolded.spans() if found.unfolded.accounts or found.unfolded.enqueued else {}
    for name, its_step, span in unfolded:
        if its_step == step and first <= span < first + count:
            rows.setdefault(name, [b""] * count)
    return {
        name: tuple([known.span(step, first + n, row, unfolded.get((name, step, first + n))) for n, row in enumerate(its)])
        for name, its in rows.items()
    }


def oldest(store: Store, queues: Sequence[str], *, of_each_priority: bool = False) -> dict[str, float]:
    """Return how many seconds the first task that waits for a worker has waited in each queue, where one does.

    Of each set in which tasks are ready, the first one alone is looked at.

    Args:
        of_each_priority: the first one of each, and those in lanes, as by `statistics.oldest`.
    """
    if not queues:
        return {}
    args = (LANES,) if of_each_priority else ()
    replies = run(store, scripts.HEADS, [(keys_of(queue).heads(), args) for queue in queues], "looking for the oldest task")
    now, found = Statistics(store, queues[0]).now(), dict[str, float]()
    for queue, reply in zip(queues, replies, strict=True):
        since = [due for data in (reply if isinstance(reply, list) else ()) if (due := counting.due_at(data)) > 0]
        if since:
            found[queue] = max(0.0, now - min(since))
    return found


def marks(store: Store, queues: Sequence[str]) -> list[Mark]:
    """Return the deploys that were marked in several queues, each version once, the newest last."""
    there = ask(store, [("EXISTS", keys.deploys(queue)) for queue in queues], "reading deploys")
    some = [queue for queue, reply in zip(queues, there, strict=True) if reply == 1]
    every = sorted((mark for queue in some[:FEW] for mark in deploys(store, queue)), key=lambda mark: mark.at)
    return list({mark.version: mark for mark in every}.values())
