"""What happened in each of many queues, and to the tasks of each name there: some queues at a time, in a few trips. Reads only.

What happened in them together is in many_statistics.py, all of one in statistics.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.monitor import finding, many_statistics, statistics
from hotqueue.monitor.crowd import ask
from hotqueue.monitor.known_spans import KnownSpans
from hotqueue.monitor.many_statistics import MOST_NAMES, Counted, counted_or_refused, first_span, series_in, series_of
from hotqueue.monitor.statistics import Series
from hotqueue.store.store import Store
from hotqueue.tasks.broker.unfolded import names_in
from hotqueue.tasks.rules.tally import EVER, Tally, decode
from hotqueue.tasks.wire.counting import ALL

TOGETHER = 30  # queues that are read at once: a page of fifty rows shows no more, where each has tasks of one name
ROWS = 5000  # rows that one command reads, about


def of_all(store: Store, queues: Sequence[str], step: int, spans: int, refused: list[str]) -> Iterator[Series]:
    """Yield what happened in each queue, to all its tasks together.

    Args:
        refused: gets a sentence for each queue that cannot be read.
    """
    for some in _portions(queues):
        yield from _of_all(store, some, step, spans, refused).values()


def with_names(store: Store, queues: Sequence[str], step: int, spans: int, refused: list[str]) -> Iterator[Series]:
    """Yield the same, behind each queue what happened to the tasks of each name there, where anything did."""
    for some in _portions(queues):
        together = _of_all(store, some, step, spans, refused)
        names = _by_name(store, list(together), step, spans, refused)
        for queue, series in together.items():
            yield series
            yield from names[queue]


def of_name(store: Store, queues: Sequence[str], task: str, step: int, spans: int, refused: list[str]) -> Iterator[Series]:
    """Yield what happened in each queue to the tasks of one name, where anything was ever counted of such."""
    for some in _portions(queues):
        first = first_span(store, some, step, spans)
        found = _read(store, some, step, first + spans - 1, 1, refused, is_by_task=True)
        knowing = [queue for queue, its in found.items() if its is not None and _knows(its, task)]
        for queue, its in _by_name(store, knowing, step, spans, refused, task).items():
            none = [series_of(queue, task, step, first, [Tally() for _ in range(spans)])]
            yield from [each for each in its if each.task == task] or none


def ever(store: Store, queues: Sequence[str]) -> Iterator[Series]:
    """Yield what happened to the tasks of each name in each queue since there are statistics of it, in one span.

    Raises:
        HotQueueError: one of them cannot be read.
    """
    for some in _portions(queues):
        every = counted_or_refused(store, [(queue, 0, 1, b"") for queue in some], EVER, is_by_task=True)
        for queue, found in zip(some, every, strict=True):
            if isinstance(found, HotQueueError):
                raise found
            if found is not None:
                has_more = len(found.names) > MOST_NAMES
                yield from statistics.ever(store, queue) if has_more else series_in(queue, found, EVER, 0, 1, KnownSpans())


def _portions(queues: Sequence[str]) -> Iterator[Sequence[str]]:
    return (queues[start : start + TOGETHER] for start in range(0, len(queues), TOGETHER))


def _of_all(store: Store, queues: Sequence[str], step: int, spans: int, refused: list[str]) -> dict[str, Series]:
    first = first_span(store, queues, step, spans)
    found: dict[str, Series] = {}
    for some in _fitting(dict.fromkeys(queues, spans)):
        for queue, its in _read(store, some, step, first, spans, refused).items():
            tallies = [Tally() for _ in range(spans)]
            for n, row in enumerate(its.rows if its is not None else ()):
                tallies[n] = decode(row, first + n) or tallies[n]
            for span, tally in (its.unfolded.together(step) if its is not None else {}).items():
                if first <= span < first + spans:
                    tallies[span - first].add(tally)
            found[queue] = series_of(queue, ALL, step, first, tallies)
    return found


def _read(
    store: Store, queues: Sequence[str], step: int, first: int, spans: int, refused: list[str], *, is_by_task: bool = False
) -> dict[str, Counted | None]:
    """Return what was counted in those queues that can be read."""
    found = counted_or_refused(store, [(queue, first, spans, b"") for queue in queues], step, is_by_task=is_by_task)
    refused += [str(each) for each in found if isinstance(each, HotQueueError)]
    pairs = zip(queues, found, strict=True)
    return {queue: each for queue, each in pairs if not isinstance(each, HotQueueError)}


def _knows(found: Counted, task: str) -> bool:
    return task in found.names or any(name == task for name, _, _ in found.unfolded.spans())


def _by_name(
    store: Store, queues: Sequence[str], step: int, spans: int, refused: list[str], task: str = ""
) -> dict[str, list[Series]]:
    """Return what happened in each queue to the tasks of each name, or of one; a queue with very much is read by itself."""
    asked = [("HGET", keys.statistics(queue), "task names") for queue in queues]
    said = zip(queues, ask(store, asked, many_statistics.DOING), strict=True)
    names = {queue: [] if isinstance(reply, Exception) else names_in(reply) for queue, reply in said}
    much = {queue for queue, its in names.items() if len(its) > MOST_NAMES or spans * len(its) > ROWS}

    def read(queue: str) -> list[Series]:
        found = statistics.series(store, queue, task, step, spans) if task else None
        return statistics.by_task(store, queue, step, spans) if found is None else [found]

    found: dict[str, list[Series]] = {queue: [] for queue in queues}
    every: list[Iterable[list[Series]]] = [finding.each((queue for queue in queues if queue in much), read, refused)]
    every += [
        [many_statistics.by_task(store, some, step, spans)]
        for some in _fitting({queue: spans * len(its) for queue, its in names.items() if queue not in much})
    ]
    for series in (each for part in every for some in part for each in some):
        found[series.queue].append(series)
    return found


def _fitting(rows: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield some of the queues at a time, so that they have not many more rows together than one command should read."""
    some, size = list[str](), 0
    for queue, count in rows.items():
        if some and size + count > ROWS:
            yield some
            some, size = [], 0
        some.append(queue)
        size += count
    if some:
        yield some
