"""What a parameter of schedules and flow control cannot be is refused where it is given: one error, which shows the value.

A table of all parameters, each with values of a wrong type, empty, negative, huge, no number, of a wrong form; for the calls
that have it, sync and async, decorators and single calls. Nothing is sent: the queue is nowhere.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import crontab

NOWHERE = "redis://127.0.0.1:1/0"
NAN, INF = float("nan"), float("inf")
LONG, HALF = "x" * 5000, "\udcff"
NEVER = [b"b", [], object(), NAN]

TEMPLATES = [5, -1, "", True, {}, "{nope}", "{user_id", "{}", "{0}", "a\nb", HALF, LONG, *NEVER]
SECONDS = ["", "5", -1, INF, 10**30, True, timedelta(days=-1), *NEVER]
CHOICES = [5, "", "nope", True, *NEVER]
RATES = ["1/w", "0/s", "-1/s", "1e3/s", "100/", "/s", "nan/s", "", 5, True, *NEVER]
COUNTS = [0, -1, 1.5, "5", True, INF, *NEVER]
WHENS = ["61 * * * *", "* * * *", "* * * * * * *", "", "never", 0, -1, INF, True, None, timedelta(0), timedelta(days=-1), *NEVER]
ZONES = ["Mars/Phobos", "", "../etc/passwd", 5, True, *NEVER]
INSTANTS = [
    datetime(2999, 1, 1),  # noqa: DTZ001
    "2999-01-01",
    5,
    True,
    *NEVER,
]
NAMES = [5, "", True, *NEVER]
TASKS = [5, "", "two words", "a\nb", HALF, LONG, True, *NEVER]
KEYS = [5, "", "a\nb", HALF, LONG, True, *NEVER]
HEADERS = [5, "tenant", {}, {7: 1}, {"a": [1]}, {"a": NAN}, {"a": HALF}, True, *NEVER]
FIELDS = [61, -1, "", "61", "x", "1 2", "1\t2", "a\nb", {}, {"a": 1}, True, None, *NEVER]
OPTIONS = {
    "unique": [value for value in TEMPLATES if value is not True],
    "unique_for": [0, timedelta(0), *SECONDS],
    "unique_until": CHOICES,
    "on_conflict": CHOICES,
    "rate_limit": RATES,
    "rate_limit_key": TEMPLATES,
    "max_concurrency": COUNTS,
    "concurrency_key": TEMPLATES,
    "fair_key": TEMPLATES,
}
OF_SCHEDULES = {"tz": ZONES, "misfire": CHOICES, "overlap": CHOICES, "jitter": SECONDS, "until": INSTANTS, "name": NAMES}
UNSHOWN = {"", *(repr(value) for value in (timedelta(0), timedelta(days=-1)))}  # these are told in seconds


def digest(user_id: int, kind: str = "daily") -> None:
    """Be a task."""


@pytest.fixture
def queue() -> HotQueue:
    return HotQueue("nowhere", url=NOWHERE)


def check_refused(call: Callable[[], Any], value: Any, what: str) -> None:
    """See that a call raises one error of ours, which shows the value."""
    error = refusal_of(call)
    assert error is not None, f"{what}={value!r:.40} was taken"
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert "hotqueue" in last.filename.split("/tests/")[-1], f"{what}={value!r:.40}: {error!r} of {last.filename}"
    shown = repr(value)[:20]
    if value and isinstance(value, str | dict):  # a part of it may be what is shown
        shown = repr(value)[1:20].strip("{}'")
    assert repr(value) in UNSHOWN or shown in str(error), f"{what}={value!r:.40}: {error}"


def refusal_of(call: Callable[[], Any]) -> Exception | None:
    """Return what a call raises, awaited if need be."""
    try:
        made = call()
        if asyncio.iscoroutine(made):
            asyncio.run(made)
    except (TypeError, ValueError) as error:
        return error
    return None


def with_base(option: str, value: Any) -> dict[str, Any]:
    """Return an option with those that it belongs to."""
    base: dict[str, Any] = {"rate_limit": "1/s", "max_concurrency": 1, "unique": True}
    return {**base, option: value}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_tasks(queue: HotQueue, option: str) -> None:
    task = queue.task(name="digest", **with_base("fair_key", "f"))(digest)
    for value in OPTIONS[option]:
        given = with_base(option, value)
        for call in (
            lambda given=given: queue.task(name="refused", **given)(digest),
            lambda given=given: task.apply_async((1,), **given),
            lambda given=given: queue.send("digest", (1,), **given),
            lambda given=given: queue.asend("digest", (1,), **given),
        ):
            check_refused(call, value, option)


@pytest.mark.parametrize("option", OF_SCHEDULES)
def test_options_of_schedules(queue: HotQueue, option: str) -> None:
    for value in OF_SCHEDULES[option]:
        given = {"name": "digests", option: value}
        check_refused(lambda given=given: queue.periodic(60, args=(1,), **given)(digest), value, option)  # type: ignore[misc]
        check_refused(lambda given=given: queue.schedule(when=60, task="digest", **given), value, option)  # type: ignore[misc]


def test_times_of_schedules(queue: HotQueue) -> None:
    for value in WHENS:
        check_refused(lambda value=value: queue.periodic(value, args=(1,))(digest), value, "when")  # type: ignore[misc]
        check_refused(lambda value=value: queue.schedule("digests", value, "digest"), value, "when")  # type: ignore[misc]
    for value in TASKS:
        check_refused(lambda value=value: queue.schedule("digests", 60, value), value, "task")  # type: ignore[misc]


@pytest.mark.parametrize("field", ["minute", "hour", "day_of_month", "month_of_year", "day_of_week"])
def test_fields_of_crontab(field: str) -> None:
    for value in FIELDS:
        check_refused(lambda value=value: crontab(**{field: value}), value, field)  # type: ignore[misc]


def test_what_operators_say(queue: HotQueue) -> None:
    table: list[tuple[Any, str, list[Any]]] = [
        *((method, "task", TASKS) for method in (queue.pause, queue.resume, queue.purge, queue.apurge)),
        *((method, "key", KEYS) for method in (queue.pause, queue.resume)),
        *((method, "state", CHOICES) for method in (queue.purge, queue.apurge)),
        *((method, "task", TASKS) for method in (queue.revoke_all, queue.arevoke_all)),
        *((method, "headers", HEADERS) for method in (queue.revoke_all, queue.arevoke_all)),
        *((method, "schedule", NAMES) for method in (queue.revoke_all, queue.arevoke_all)),
        *((method, "task_id", NAMES) for method in (queue.why, queue.awhy)),
    ]
    for method, name, values in table:
        for value in values:
            check_refused(lambda value=value: method(**{name: value}), value, f"{method.__name__}({name})")  # type: ignore[misc]  # noqa: B023


def test_how_many_may_wait() -> None:
    for value in COUNTS:
        check_refused(lambda value=value: HotQueue("q", url=NOWHERE, max_waiting=value), value, "max_waiting")  # type: ignore[misc]
    for value in ("", "5", -1, True, timedelta(days=-1), *NEVER):
        given = {"max_waiting": 5, "enqueue_timeout": value}
        check_refused(lambda given=given: HotQueue("q", url=NOWHERE, **given), value, "enqueue_timeout")  # type: ignore[misc]
