"""Times at the ends of the calendar: wherever a time is given, kept, shown or waited for.

Of this kind: `eta` and `expires` as datetimes of any year and zone; `countdown`, limits and time-outs as durations; a retry's
`eta` and `countdown`; everything that turns ms back into a datetime (`explain`, `request.eta`, `date_done`, `died`). A moment
beyond the calendar is taken as its end. A duration that no lock, timer or socket could wait for is refused where it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from hotqueue.errors import TaskExpired
from hotqueue.tasks import State
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.rules.options import datetime_of, instant_ms
from tests.tasks import sample

LAST = datetime.max.replace(tzinfo=UTC)
BEYOND = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))  # the year 10000 in UTC
FIRST = datetime.min.replace(tzinfo=UTC)
BEFORE = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))  # the year 0 in UTC
pytestmark = pytest.mark.servers("embedded")


@pytest.mark.parametrize("moment", [LAST, BEYOND, FIRST, BEFORE, datetime(2030, 1, 1, tzinfo=UTC)])
def test_what_a_moment_becomes_can_be_shown(moment: datetime) -> None:
    shown = datetime_of(instant_ms(moment, "eta="))
    assert abs(shown - moment) <= timedelta(hours=14)


@pytest.mark.parametrize("ms", [1e18, -1e18, 1e300, -1e300])
def test_what_somebody_else_wrote_can_be_shown(ms: float) -> None:
    assert datetime_of(ms) in (LAST, FIRST)


@pytest.mark.parametrize("eta", [LAST, BEYOND])
def test_a_task_for_the_end_of_time_says_so(queue: HotQueue, eta: datetime) -> None:
    result = queue.tasks["double"].apply_async((1,), eta=eta)
    with pytest.raises(ResultTimeout, match="it is scheduled for 9999-12-31 23:59:59 UTC"):
        result.get(timeout=0.05)
    assert (result.state, result.history, queue.scheduled()) == (State.SCHEDULED, [], 1)
    result.revoke()


@pytest.mark.parametrize("eta", [FIRST, BEFORE])
def test_a_task_for_the_beginning_of_time_runs_now(make_queue: Callable[..., HotQueue], eta: datetime) -> None:
    queue = make_queue()
    result = queue.task(sample.request).apply_async(eta=eta)
    queue.run_worker(burst=True)
    assert abs(result.get(timeout=30)["eta"] - eta) <= timedelta(hours=14)


@pytest.mark.parametrize(("expires", "wanted"), [(LAST, 2), (BEYOND, 2), (FIRST, TaskExpired), (BEFORE, TaskExpired)])
def test_a_task_that_expires_at_an_end_of_time(queue: HotQueue, expires: datetime, wanted: Any) -> None:
    result = queue.tasks["double"].apply_async((1,), expires=expires)
    queue.run_worker(burst=True)
    found = result.get(timeout=5, propagate=False)
    assert found == wanted or isinstance(found, wanted)


@pytest.mark.parametrize("eta", [LAST, BEYOND])
def test_a_retry_at_the_end_of_time_says_so(make_queue: Callable[..., HotQueue], eta: datetime) -> None:
    queue = make_queue()
    result = queue.task(sample.ask_again).apply_async(kwargs={"eta": eta})
    queue.run_worker(burst=True)
    with pytest.raises(ResultTimeout, match=r"it is scheduled for 9999-12-31 .*, after 1 retry"):
        result.get(timeout=0.05)
    assert result.state is State.RETRY
    result.revoke()


@pytest.mark.parametrize("countdown", [1e12, -1.0, float("inf"), float("nan"), 10**400, timedelta.max])
@pytest.mark.parametrize("option", ["countdown", "expires", "time_limit", "soft_time_limit", "result_expires"])
def test_a_duration_out_of_range_is_refused_where_it_is_given(queue: HotQueue, option: str, countdown: Any) -> None:
    with pytest.raises(ValueError, match=f"{option}= takes seconds from 0 to 9e"):
        queue.tasks["double"].apply_async((1,), **{option: countdown})


def test_a_retrys_duration_out_of_range_is_the_tasks_error(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    result = queue.task(sample.ask_again).apply_async(kwargs={"countdown": 1e12})
    queue.run_worker(burst=True)
    with pytest.raises(ValueError, match="retry countdown= takes seconds"):
        result.get(timeout=30)
    queue.discard_dead(all=True)


@pytest.mark.parametrize("option", ["soft_time_limit", "time_limit", "result_expires", "expires"])
def test_the_longest_duration_can_be_waited_for(queue: HotQueue, option: str) -> None:
    """A timer of 9.3e9 s is "out of range for platform time_t"."""
    result = queue.tasks["double"].apply_async((1,), **{option: 8.9e9})
    queue.run_worker(burst=True)
    assert list(ResultSet([result]).as_completed(timeout=8.9e9)) == [result]
    assert result.get(timeout=8.9e9) == 2
    result.forget()
