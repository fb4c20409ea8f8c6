"""The options of a task: names, checks, which of them travel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue
from hotqueue.tasks.rules.options import TaskOptions, instant_ms, make, override, seconds


@pytest.mark.parametrize(
    ("given", "nearest"), [("retrys", "retries"), ("time_limt", "time_limit"), ("ignore_results", "ignore_result")]
)
def test_an_unknown_option_is_a_type_error_that_names_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(TypeError, match=f"@queue.task got an unknown option '{given}'; did you mean '{nearest}'"):
        make({given: 1}, "@queue.task")


def test_an_option_that_is_near_nothing_lists_all() -> None:
    with pytest.raises(TypeError, match=r"known are .*max_retries.*time_limit"):
        make({"xyzzy": 1}, "@queue.task")


def test_the_name_of_a_task_is_among_what_may_be_meant() -> None:
    with pytest.raises(TypeError, match="did you mean 'name'"):
        make({"nam": 1}, "@queue.task")


def test_a_soft_limit_beyond_the_hard_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x soft_time_limit= is 5 s, but time_limit= ends the task before that, after 3 s"):
        make({"soft_time_limit": 5, "time_limit": 3}, "x")
    made = make({"soft_time_limit": 5, "time_limit": 5}, "x")
    with pytest.raises(ValueError, match="soft_time_limit= is 5 s"):
        override(made, {"time_limit": 1}, "x")


def test_a_queue_given_for_its_name_is_told_its_name() -> None:
    with pytest.raises(ConfigError, match=r"x queue= is a non-empty str, not <HotQueue 'mine' .*; did you mean 'mine'"):
        make({"queue": HotQueue("mine", dbfilename=":memory:")}, "x")


def test_retries_is_short_for_max_retries_and_autoretry_for_everything() -> None:
    made = make({"retries": 7}, "x")
    assert (made.max_retries, made.autoretry_for) == (7, (Exception,))
    assert make({"retries": 7, "autoretry_for": OSError}, "x").autoretry_for == (OSError,)


def test_retries_and_max_retries_are_one_too_many() -> None:
    with pytest.raises(TypeError, match="x got both retries= and max_retries="):
        make({"retries": 1, "max_retries": 2}, "x")


def test_durations_may_be_timedeltas() -> None:
    made = make({"time_limit": timedelta(minutes=1), "result_expires": timedelta(hours=2), "retry_backoff": 3}, "x")
    assert (made.time_limit, made.result_expires, made.retry_policy.base) == (60, 7200, 3)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("priority", 101, ValueError),
        ("priority", -101, ValueError),
        ("priority", 1.5, TypeError),
        ("priority", True, TypeError),
        ("retries", -1, ValueError),
        ("max_retries", "3", TypeError),
        ("max_deliveries", 0, ValueError),
        ("time_limit", -1, ValueError),
        ("time_limit", "60", TypeError),
        ("soft_time_limit", float("nan"), ValueError),
        ("expires", True, TypeError),
        ("result_expires", None, TypeError),
        ("retry_backoff_max", None, TypeError),
        ("default_retry_delay", None, TypeError),
        ("retry_backoff", None, TypeError),
        ("autoretry_for", "OSError", TypeError),
        ("autoretry_for", (OSError, 3), TypeError),
        ("autoretry_for", None, TypeError),
        ("time_limit", 0, ValueError),
        ("soft_time_limit", timedelta(), ValueError),
        ("time_limit", float("inf"), ValueError),
        ("result_expires", 1e12, ValueError),
        ("bind", "yes", TypeError),
        ("bind", 1, TypeError),
        ("ignore_result", None, TypeError),
        ("retry_jitter", 5, TypeError),
        ("queue", "", ConfigError),
        ("queue", 5, ConfigError),
        ("queue", "a{b}", ConfigError),
        ("queue", "\ud800", ConfigError),
    ],
)
def test_a_wrong_value_is_refused_with_the_option_named(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"@queue.task {option}="):
        make({option: value}, "@queue.task")


@pytest.mark.parametrize("option", ["max_retries", "time_limit", "soft_time_limit", "expires", "queue"])
def test_none_means_without_for_options_that_can_be_absent(option: str) -> None:
    assert getattr(make({option: None}, "x"), option) is None


@pytest.mark.parametrize("option", ["bind", "autoretry_for", "dont_autoretry_for"])
def test_what_cannot_be_said_for_one_call_is_refused_there(option: str) -> None:
    with pytest.raises(TypeError, match=f"x got an unknown option '{option}': @queue.task has it"):
        override(TaskOptions(), {option: ()}, "x")


def test_one_calls_options_lie_over_the_tasks() -> None:
    merged = override(make({"time_limit": 5, "priority": 3}, "x"), {"priority": 9}, "x")
    assert (merged.time_limit, merged.priority) == (5, 9)


def test_only_what_differs_and_fits_json_travels() -> None:
    made = make({"time_limit": 5, "priority": 3, "queue": "q", "autoretry_for": OSError, "max_retries": 3}, "x")
    assert made.travelling() == {"time_limit": 5}


def test_a_policy_without_backoff_waits_the_default_delay() -> None:
    policy = make({"retry_backoff": False, "default_retry_delay": 8}, "x").retry_policy
    assert (policy.base, policy.exponential) == (8, False)


def test_a_naive_time_is_refused_with_the_aware_expression() -> None:
    naive = datetime(2030, 1, 2, 3, 4)  # noqa: DTZ001
    with pytest.raises(ValueError, match=r"datetime\.datetime\(2030, 1, 2, 3, 4, tzinfo=datetime\.timezone\.utc\)"):
        instant_ms(naive, "eta=")


def test_an_aware_time_of_any_zone_becomes_ms() -> None:
    there = datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert instant_ms(there, "eta=") == instant_ms(datetime(2030, 1, 1, tzinfo=UTC), "eta=") == 1_893_456_000_000


@pytest.mark.parametrize(("given", "wanted"), [(0, 0), (1.5, 1.5), (timedelta(seconds=2), 2)])
def test_seconds(given: Any, wanted: float) -> None:
    assert seconds(given, "x") == wanted


@pytest.mark.parametrize("given", [-1, float("inf"), float("nan"), 1e12])
def test_seconds_out_of_range(given: float) -> None:
    with pytest.raises(ValueError, match="takes seconds from 0"):
        seconds(given, "x")
