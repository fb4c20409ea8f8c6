"""Tasks that have ended, the last of them first, as rows of a list; without their payloads. Reads only."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from hotqueue import keys
from hotqueue.monitor.filters import ENDED
from hotqueue.monitor.row import Row, moment_of
from hotqueue.store.store import Store
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.wire.account import Told, id_of
from hotqueue.tasks.wire.preview import preview


def rows(store: Store, queue: str, limit: int | None = None, before: int | None = None) -> Iterator[Row]:
    """Yield tasks of a queue that have ended, the last one first.

    Args:
        limit: how many at most.
        before: only those that ended before this instant, in ms.
    """
    statistics = Statistics(store, queue)
    most = min(statistics.keeps(), sys.maxsize if limit is None else limit)
    seen = set[tuple[bytes, float]]()  # what is moved from one list to the other while we read comes twice
    for told in statistics.ended():
        if len(seen) >= most:
            return
        if before is not None and told.at * 1000 >= before:
            continue
        one = id_of(told.head), told.at
        if one not in seen:
            seen.add(one)
            yield row_of(queue, told)


def find(store: Store, queue: str, task_id: str) -> Told | None:
    """Return what is told of the last end of a task; None where nothing is, any more."""
    its_id = keys.raw(task_id)
    return next((told for told in Statistics(store, queue).ended(its_id) if id_of(told.head) == its_id), None)


def row_of(queue: str, told: Told) -> Row:
    """Return what is shown of a task that has ended."""
    call = preview(told.head)
    return Row(
        *(keys.text(id_of(told.head)), call.task, queue, ENDED, told.what, call.args, call.priority, moment_of(call.created)),
        retries=told.tries,
        worker=told.worker,
        error=told.error,
        outcome=told.what,
        started=moment_of(told.began * 1000),
        ended=moment_of(told.at * 1000),
        run=told.took if told.began else None,
        attempts=told.attempts,
    )
