"""Statistics of a queue: what happened in each minute, hour and day, all together and task by task; and its deploys. Reads only.

Commands, screens, pages and metrics read them here, and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hotqueue import keys
from hotqueue.store.store import Store
from hotqueue.tasks.rules.histogram import NONE
from hotqueue.tasks.rules.histogram import Histogram as Histogram

COUNTS = ("enqueued", "started", "succeeded", "failed", "retried", "lost", "parked")
STEPS = (60, 3600, 86400)


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
        counts = {what: self.counts[what] + other.counts[what] for what in COUNTS}
        run, wait, attempts = self.run + other.run, self.wait + other.wait, self.attempts + other.attempts
        return Span(min(self.at, other.at), counts, run, wait, attempts)


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
        first, *others = self.spans
        for span in others:
            first += span
        return first


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
    last = int(datetime.now(UTC).timestamp()) // step
    found = {last - n: dict.fromkeys(COUNTS, 0) for n in range(spans)}
    if not task:
        for minute, counts in _minutes(store, queue).items():
            if (span := minute * 60 // step) in found:
                found[span] = {what: found[span][what] + counts[what] for what in COUNTS}
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    return Series(queue, task, step, tuple(Span(begin + timedelta(seconds=n * step), found[n]) for n in sorted(found)))


def _minutes(store: Store, queue: str) -> dict[int, Counter[str]]:
    key = keys.stats(queue)
    found = store.repeat(lambda: store.command(key, "HGETALL", key, doing=f"reading the statistics of queue {queue!r}"))
    by_minute = dict[int, Counter[str]]()
    for name, value in zip(found[::2], found[1::2], strict=True):
        minute, _, what = keys.text(name).partition(":")
        if minute.isdigit() and value.isdigit():
            by_minute.setdefault(int(minute), Counter())[what] += int(value)
    return by_minute


def by_task(store: Store, queue: str, step: int = 60, spans: int = 60) -> list[Series]:
    """Return the same of each name of tasks that occurs, in the order of their names."""
    return []


def oldest(store: Store, queue: str) -> float | None:
    """Return for how many seconds the oldest task waits that could run at once; None where none waits."""
    return None


def deploys(store: Store, queue: str) -> list[Mark]:
    """Return the deploys that were marked in a queue, the newest last."""
    return []
