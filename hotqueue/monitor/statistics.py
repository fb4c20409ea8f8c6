"""Statistics of a queue: what happened in each minute, hour and day, all together and task by task; and its deploys. Reads only.

Commands, screens, pages and metrics read them here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hotqueue.monitor.row import moment_of
from hotqueue.store.store import Store
from hotqueue.tasks.broker.statistics import Statistics
from hotqueue.tasks.rules.histogram import NONE, summed
from hotqueue.tasks.rules.histogram import Histogram as Histogram
from hotqueue.tasks.rules.tally import COUNTS as COUNTS
from hotqueue.tasks.rules.tally import EVER, Tally
from hotqueue.tasks.rules.tally import STEPS as STEPS
from hotqueue.tasks.wire import counting


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in one span of time.

    Attributes:
        at: when it began, in UTC.
        counts: how often each of COUNTS happened.
        run: how many seconds runs took, of those that ended: well, failed or to be retried.
        wait: how many seconds they waited, from when they were due until they started.
        attempts: how many attempts those needed that ended.
    """

    at: datetime
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    run: Histogram = NONE
    wait: Histogram = NONE
    attempts: Histogram = NONE

    def __add__(self, other: Span) -> Span:
        return together([self, other])


def together(spans: Sequence[Span]) -> Span:
    """Return what happened in several spans, as one; all at once, since of a month there are hundreds."""
    counts = {what: sum(span.counts[what] for span in spans) for what in COUNTS}
    run, wait = summed(span.run for span in spans), summed(span.wait for span in spans)
    return Span(min(span.at for span in spans), counts, run, wait, summed(span.attempts for span in spans))


@dataclass(frozen=True, slots=True)
class Series:
    """What happened, span by span.

    Attributes:
        task: its name; "": all tasks of the queue.
        step: how many seconds a span is long: 60 (kept two hours), 3600 (a month), 86400 (a year).
        spans: the oldest first, without gaps; the last one is going on.
    """

    queue: str
    task: str
    step: int
    spans: tuple[Span, ...]

    @property
    def total(self) -> Span:
        """All of them together."""
        return together(self.spans)


@dataclass(frozen=True, slots=True)
class Mark:
    """A deploy.

    Attributes:
        version: of what was deployed.
        who: said so.
    """

    at: datetime
    version: str
    who: str = ""


def series(store: Store, queue: str, task: str = "", step: int = 60, spans: int = 120) -> Series:
    """Return what happened to the tasks of a queue in the last spans of time.

    Args:
        task: only to those of this name; "": to all.
        step: how long a span is: one of STEPS.

    Raises:
        ValueError: there is no such step.
    """
    if step not in STEPS:
        raise ValueError(f"statistics are kept in steps of {', '.join(map(str, STEPS))} seconds, not of {step!r:.80}")
    return _series(Statistics(store, queue), [task], step, spans)[0]


def by_task(store: Store, queue: str, step: int = 60, spans: int = 60) -> list[Series]:
    """Return the same of each name of tasks that occurs, in the order of their names."""
    found = _series(Statistics(store, queue), None, step, spans)
    return [each for each in found if any(any(span.counts.values()) for span in each.spans)]


def ever(store: Store, queue: str) -> list[Series]:
    """Return the same of each name since there are statistics of it, in one span: numbers that only grow."""
    return _series(Statistics(store, queue), None, EVER, 1)


def _series(statistics: Statistics, tasks: list[str] | None, step: int, spans: int) -> list[Series]:
    first = int(statistics.now()) // step - spans + 1
    found = statistics.read(tasks, step, first, spans)
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    at = [begin + timedelta(seconds=(first + n) * step) for n in range(spans)]
    return [
        Series(statistics.name, task, step, tuple(span_from(when, tally) for when, tally in zip(at, tallies, strict=True)))
        for task, tallies in sorted(found.items())
    ]


def span_from(at: datetime, tally: Tally) -> Span:
    """Return a span, of what was counted of it."""
    return Span(at, {what: tally.counts.get(what, 0) for what in COUNTS}, *tally.histograms())


def oldest(store: Store, queue: str) -> float | None:
    """Return for how many seconds the oldest task waits that could run at once; None where none waits.

    Of those that wait for a worker, and of those at gates: the one at the head of each priority is looked at.
    """
    statistics = Statistics(store, queue)
    since = [due for data in statistics.first_waiting() if (due := counting.due_at(data)) > 0]
    return max(0.0, statistics.now() - min(since)) if since else None


def deploys(store: Store, queue: str) -> list[Mark]:
    """Return the deploys that were marked in a queue, the newest last."""
    found = Statistics(store, queue).deploys()
    moments = [(moment_of(each["at"]), each) for each in found if isinstance(each.get("at"), int | float)]
    return [Mark(at, str(each.get("version", "")), str(each.get("who", ""))) for at, each in moments if at is not None]
