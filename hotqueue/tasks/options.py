"""The options of a task: names, defaults, checks, and which of them travel in an envelope. Pure.

The decorator's own options and those of one `apply_async` call are the same ones; an unknown one is a TypeError that
names the nearest.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hotqueue.tasks.retry import RetryPolicy

Seconds = int | float | timedelta
ErrorTypes = tuple[type[BaseException], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """What a task's author, or one call of it, decides; times in seconds. See the README for each."""

    bind: bool = False
    max_retries: int | None = 3
    autoretry_for: ErrorTypes = ()
    dont_autoretry_for: ErrorTypes = ()
    retry_backoff: bool | float = True
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    default_retry_delay: float = 1
    max_deliveries: int = 5
    time_limit: float | None = None
    soft_time_limit: float | None = None
    ignore_result: bool = False
    result_expires: float = 3600
    priority: int = 0
    queue: str | None = None
    expires: float | None = None

    @property
    def retry_policy(self) -> RetryPolicy:
        """Return the options that decide about retries, as `retry` wants them."""
        return RetryPolicy(
            max_retries=self.max_retries,
            autoretry_for=self.autoretry_for,
            dont_autoretry_for=self.dont_autoretry_for,
            base=self.default_retry_delay if self.retry_backoff is False else float(self.retry_backoff),
            exponential=self.retry_backoff is not False,
            cap=self.retry_backoff_max,
            jitter=self.retry_jitter,
        )

    def travelling(self) -> dict[str, Any]:
        """Return what differs from the defaults and can be written as JSON: a worker's half of the options."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _LOCAL}
        differing = {name: value for name, value in kept.items() if value != _DEFAULTS[name]}
        return {**differing, _EVERY_ERROR: True} if self.autoretry_for == (Exception,) else differing


_EVERY_ERROR = "autoretry"  # what `retries=` means, the one choice of error classes that can be written down
# Classes cannot be written as JSON; queue, priority and expires are spent when the task is enqueued.
_LOCAL = frozenset({"bind", "autoretry_for", "dont_autoretry_for", "queue", "priority", "expires"})
_DEFAULTS = {f.name: f.default for f in fields(TaskOptions)}
_SECONDS = ("retry_backoff_max", "default_retry_delay", "time_limit", "soft_time_limit", "result_expires", "expires")
NAMES = frozenset({*_DEFAULTS, "retries"})
PER_CALL = NAMES - {"bind", "autoretry_for", "dont_autoretry_for"}
OF_THE_CALL = frozenset({"args", "kwargs", "countdown", "eta", "task_id", "headers"})  # apply_async's own, to be named as near


def make(given: Mapping[str, Any], where: str) -> TaskOptions:
    """Return checked options.

    Args:
        given: option → value.
        where: how to name the caller in an error, such as "@queue.task".

    Raises:
        TypeError: an unknown option, or a value of a wrong type.
        ValueError: a value out of range, a naive datetime.
    """
    check_names(given, NAMES, where)
    return TaskOptions(**_checked(given, where))


def override(options: TaskOptions, given: Mapping[str, Any], where: str) -> TaskOptions:
    """Return `options` with those of one call over them."""
    check_names(given, PER_CALL | OF_THE_CALL, where)
    if "retries" in given and options.autoretry_for:
        given = {**given, "autoretry_for": options.autoretry_for}
    return replace(options, **_checked(given, where))


def received(options: TaskOptions, travelled: Mapping[str, Any]) -> TaskOptions:
    """Return `options` with those over them that travelled with a call."""
    given = dict(travelled)
    if given.pop(_EVERY_ERROR, False):
        given["autoretry_for"] = (Exception,)
    return replace(options, **given)


def check_names(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Raise TypeError for the first unknown name, naming the nearest known one."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"
            raise TypeError(f"{where} got an unknown option {name!r}{hint}")


def _checked(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    kept = dict(given)
    if "retries" in kept:
        kept["max_retries"] = _whole(kept.pop("retries"), "retries", where, 0, None)
        kept.setdefault("autoretry_for", (Exception,))
    for name in _SECONDS:
        if name in kept and not (kept[name] is None and _DEFAULTS[name] is None):
            kept[name] = seconds(kept[name], f"{where} {name}=")
    for name in ("autoretry_for", "dont_autoretry_for"):
        if name in kept:
            kept[name] = _error_types(kept[name], f"{where} {name}=")
    if "priority" in kept:
        kept["priority"] = _whole(kept["priority"], "priority", where, -100, 100)
    if "max_deliveries" in kept:
        kept["max_deliveries"] = _whole(kept["max_deliveries"], "max_deliveries", where, 1, None)
    if kept.get("max_retries") is not None:
        kept["max_retries"] = _whole(kept["max_retries"], "max_retries", where, 0, None)
    if "retry_backoff" in kept and not isinstance(kept["retry_backoff"], bool):
        kept["retry_backoff"] = seconds(kept["retry_backoff"], f"{where} retry_backoff=")
    return kept


def _whole(value: Any, name: str, where: str, low: int, high: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{where} {name}= takes a whole number, not {value!r}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{where} {name}= is {value}, but it goes from {low} to {high if high is not None else 'any number'}")
    return value


def _error_types(value: Any, what: str) -> ErrorTypes:
    kinds = value if isinstance(value, tuple | list) else (value,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"{what} takes exception classes, not {kind!r}")
    return tuple(kinds)


def seconds(value: Any, what: str) -> float:
    """Return a duration as seconds; int, float or timedelta, not negative."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} takes seconds (int, float or timedelta), not {value!r}")
    if not 0 <= value < 1e11:
        raise ValueError(f"{what} takes seconds from 0, not {value!r}")
    return value


def instant_ms(value: datetime, what: str) -> int:
    """Return an aware datetime as ms since the epoch."""
    if not isinstance(value, datetime):
        raise TypeError(f"{what} takes an aware datetime, not {value!r}")
    if value.tzinfo is None:
        raise ValueError(f"{what} got the naive {value!r}; say which zone it is in, e.g. {value.replace(tzinfo=UTC)!r}")
    return int(value.timestamp() * 1000)
