"""Answers: what commands print by --json, and the dashboard answers under /api/: each is described here once. Reads only.

Rows of lists, and one task, say it themselves (`as_json`): row.py, one_task.py, workers.py, schedules.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hotqueue import __version__, keys
from hotqueue.monitor import each_statistics, inventory, one_task, statistics
from hotqueue.monitor.crowd import QueueFacts, ask
from hotqueue.monitor.inventory import Length
from hotqueue.monitor.statistics import Histogram, Mark, Series, Span
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.schema import MOST as MOST_SCHEMAS

STEPS = {"minute": 60, "hour": 3600, "day": 86400}
MOST = {"minute": 120, "hour": 744, "day": 365}  # spans that are kept


def info(store: Store) -> dict[str, Any]:
    """Return what there is to say of a store; its queues are another matter."""
    return {"hotqueue": __version__, "store": str(store), "server": inventory.server_version(store), "schema": keys.SCHEMA}


def queue(store: Store, name: str, schema: int) -> dict[str, Any]:
    """Return what is in a queue; of one that is newer than we are, no tasks."""
    if schema > keys.SCHEMA:
        return {"name": name, "messages": inventory.messages(store, name), "schema": schema}
    return _queue(inventory.length(store, name), schema)


def queue_of(found: QueueFacts, schema: int) -> dict[str, Any]:
    """Return the same of one that was looked at together with others; of one that cannot be read, why."""
    if found.refused:
        return {"name": found.name, "refused": found.refused}
    if found.is_newer or schema > keys.SCHEMA:
        return {"name": found.name, "messages": found.messages, "schema": schema}
    paused = found.is_paused, found.paused_tasks, found.paused_keys
    more = found.scheduled, found.running, found.dead, found.workers
    waiting = max(0, found.unfinished - found.running)
    return _queue(Length(found.name, found.messages, waiting, found.suspects, *paused, *more), schema)


def schemas(store: Store, names: Sequence[str]) -> list[int]:
    """Return the schemas of some queues, in their order, in one trip; see `Broker.schema`."""
    asked = [("EXISTS", *(keys.schema(name, number) for number in range(2, MOST_SCHEMAS + 1))) for name in names]
    replies = ask(store, asked, "reading the schemas of queues")
    if failed := [reply for reply in replies if isinstance(reply, Exception)]:
        raise failed[0]
    return [1 + int(reply) for reply in replies]


def _queue(found: Length, schema: int) -> dict[str, Any]:
    more: dict[str, Any] = {
        "running": found.running,
        "scheduled": found.scheduled,
        "dead": found.dead,
        "suspects": found.suspects,
        "workers": found.workers,
        "paused": found.is_paused,
        "paused_tasks": list(found.paused_tasks),
        "paused_keys": list(found.paused_keys),
    }
    some = {what: value for what, value in more.items() if value}
    return {"name": found.name, "messages": found.messages, "tasks": found.tasks, **some, "schema": schema}


def why(store: Store, queue: str, task_id: str) -> dict[str, Any]:
    """Return why a task waits, or what else there is to say of it."""
    reason = one_task.why(Broker(store, queue), task_id)
    facts = {name: one_task.plain(value) for name, value in reason.facts.items()}
    return {"id": task_id, "queue": queue, "reason": reason.reason, "text": str(reason), "facts": facts}


# --- what happened -------------------------------------------------------------------------------------------------------


def counted(
    store: Store,
    queues: Sequence[str],
    refused: list[str],
    task: str = "",
    per: str = "minute",
    last: int = 60,
    by_span: bool = False,
) -> Iterator[tuple[Series, Span, int]]:
    """Yield what happened in each of some queues, and to the tasks of each name there; with of how many spans that is.

    Args:
        refused: gets a sentence for each queue that cannot be read.
        task: of this name alone; of a queue where nothing of that name was ever counted, nothing.
        per, last: in the last so many minutes, hours or days.
        by_span: of each span on its own; of the names of a queue nothing, then.
    """
    last = min(last, MOST[per])
    if task:
        found = each_statistics.of_name(store, queues, task, STEPS[per], last, refused)
    else:
        read = each_statistics.of_all if by_span else each_statistics.with_names
        found = read(store, queues, STEPS[per], last, refused)
    for series in found:
        yield from ((series, span, 1) for span in series.spans) if by_span else ((series, series.total, last),)


def counts(series: Series, span: Span, spans: int) -> dict[str, Any]:
    """Return what happened in a span of time, of which `spans` are taken together."""
    about = {"queue": series.queue, "task": series.task or None, "since": span.at.isoformat(), "seconds": series.step * spans}
    histograms = {"run": span.run, "wait": span.wait, "attempts": span.attempts}
    return {**about, **span.counts, **{name: _histogram(each) for name, each in histograms.items()}}


def _histogram(histogram: Histogram) -> dict[str, Any]:
    quantiles = {f"p{round(100 * q)}": histogram.quantile(q) for q in (0.5, 0.95, 0.99)}
    return {"count": histogram.count, "total": histogram.total, "mean": histogram.mean, **quantiles}


def deploys(store: Store, queues: Sequence[str]) -> list[tuple[str, Mark]]:
    """Return the deploys that were marked in some queues."""
    return [(queue, mark) for queue in queues for mark in statistics.deploys(store, queue)]


def deploy(queue: str, mark: Mark) -> dict[str, Any]:
    """Return what a deploy was."""
    return {"queue": queue, "at": mark.at.isoformat(timespec="milliseconds"), "version": mark.version, "who": mark.who}
