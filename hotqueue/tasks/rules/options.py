"""The options of a task: names, defaults, checks, and which of them travel in an envelope. Pure.

The decorator's own options and those of one `apply_async` call are the same ones; an unknown one is a TypeError that
names the nearest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hotqueue import keys
from hotqueue.hints import check_flag, did_you_mean
from hotqueue.tasks.rules import unique
from hotqueue.tasks.rules.call_keys import Key, check_key
from hotqueue.tasks.rules.gates import check_rate
from hotqueue.tasks.rules.retry import RetryPolicy

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
    sensitive: bool | tuple[str, ...] = False
    max_concurrency: int | None = None
    concurrency_key: Key | None = None
    rate_limit: str | None = None
    rate_limit_key: Key | None = None
    fair_key: Key | None = None
    unique: Key | bool = False
    unique_for: float | None = None
    unique_until: str = "ended"
    on_conflict: str = "raise"
    stream_max: int = 10_000
    stream_deterministic: bool = False

    @property
    def has_gates(self) -> bool:
        """True for calls that may have to wait at gates."""
        return self.max_concurrency is not None or self.rate_limit is not None or self.fair_key is not None

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

    def differing(self) -> dict[str, Any]:
        """Return the options that are not the default, by name: what `of` takes."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in kept.items() if value != _DEFAULTS[name]}

    @classmethod
    def of(cls, options: Any) -> TaskOptions:
        """Return the options that `differing` gave; or those of an older version, which may have had fewer."""
        given = {f.name: getattr(options, f.name) for f in fields(cls) if hasattr(options, f.name)}
        return cls(**(options if isinstance(options, dict) else given))

    def travelling(self) -> dict[str, Any]:
        """Return what differs from the defaults and can be written as JSON: a worker's half of the options."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _LOCAL}
        differing = {name: value for name, value in kept.items() if value != _DEFAULTS[name]}
        return {**differing, _EVERY_ERROR: True} if self.autoretry_for == (Exception,) else differing

    def chosen(self, names: Collection[str]) -> dict[str, Any]:
        """Return what travels of these options, the defaults among them too: where the call runs, others may be the defaults."""
        own = {"max_retries" if name == "retries" else name for name in names} - _LOCAL
        found = {name: getattr(self, name) for name in sorted(own)}
        return {**found, _EVERY_ERROR: True} if "retries" in names else found


_EVERY_ERROR = "autoretry"  # what `retries=` means, the one choice of error classes that can be written down
# Classes cannot be written as JSON; queue, priority, expires, sensitive and gates are spent when the task is enqueued.
_COUNTED_BY = {
    "concurrency_key": ("max_concurrency", "how many run at a time"),
    "rate_limit_key": ("rate_limit", "how many start"),
}
KEYS = ("concurrency_key", "rate_limit_key", "fair_key")  # templates over the arguments, or callables
_GATES = frozenset({"max_concurrency", "rate_limit", *KEYS})
_UNIQUE = frozenset({"unique", *unique.OPTIONS})
_LOCAL = (
    frozenset({"bind", "autoretry_for", "dont_autoretry_for", "queue", "priority", "expires", "sensitive"}) | _GATES | _UNIQUE
)
_DEFAULTS = {f.name: f.default for f in fields(TaskOptions)}
_FLAGS = ("bind", "ignore_result", "retry_jitter", "stream_deterministic")
_LIMITS = ("time_limit", "soft_time_limit")
_SECONDS = (
    "retry_backoff_max",
    "default_retry_delay",
    "time_limit",
    "soft_time_limit",
    "result_expires",
    "expires",
    "unique_for",
)
NAMES = frozenset({*_DEFAULTS, "retries"})
PER_CALL = NAMES - {"bind", "autoretry_for", "dont_autoretry_for"}
OF_THE_CALL = frozenset({"args", "kwargs", "countdown", "eta", "task_id", "headers"})  # apply_async's own, to be named as near
_OF_THE_TASK = (NAMES | {"name"}) - PER_CALL  # the decorator's alone
_LONGEST = 9e9  # seconds, 285 years: what comes after it no lock, socket or timer can wait for
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def make(given: Mapping[str, Any], where: str) -> TaskOptions:
    """Return checked options.

    Args:
        given: option → value.
        where: how to name the caller in an error, such as "@queue.task".

    Raises:
        TypeError: an unknown option, or a value of a wrong type.
        ValueError: a value out of range, a naive datetime.
    """
    check_names(given, NAMES, where, also_near=("name", "depends_on"))
    return _consistent(TaskOptions(**_checked(given, where)), where)


def override(options: TaskOptions, given: Mapping[str, Any], where: str) -> TaskOptions:
    """Return `options` with those of one call over them."""
    for name in given:
        if name in _OF_THE_TASK:
            raise TypeError(f"{where} got an unknown option {name!r}: @queue.task has it, it cannot be said for one call")
    check_names(given, PER_CALL | OF_THE_CALL, where)
    if "retries" in given and options.autoretry_for:
        given = {**given, "autoretry_for": options.autoretry_for}
    for key, (limit, _) in _COUNTED_BY.items():
        if given.get(limit, 1) is None:  # without a limit, and so without what it is counted by
            given = {key: None, **given}
    if given.get("unique", True) in (None, False):
        given = {**{name: _DEFAULTS[name] for name in unique.OPTIONS}, **given}
    return _consistent(replace(options, **_checked(given, where)), where)


def received(options: TaskOptions, travelled: Mapping[str, Any]) -> TaskOptions:
    """Return `options` with those over them that travelled with a call.

    Raises:
        TypeError, ValueError: they are none, as `make`; whoever sent them may be none of ours.
    """
    given = dict(travelled)
    if given.pop(_EVERY_ERROR, False) and not options.autoretry_for:  # the task's own choice, as in `override`
        given["autoretry_for"] = (Exception,)
    return replace(options, **_checked(given, "a call's"))


def check_names(given: Mapping[str, Any], known: frozenset[str], where: str, also_near: tuple[str, ...] = ()) -> None:
    """Raise TypeError for the first unknown name, naming the nearest known one."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, [*known, *also_near]) or f"; known are {', '.join(sorted(known))}"
            raise TypeError(f"{where} got an unknown option {name!r}{hint}")


def _consistent(options: TaskOptions, where: str) -> TaskOptions:
    soft, hard = options.soft_time_limit, options.time_limit
    if soft is not None and hard is not None and soft > hard:
        raise ValueError(f"{where} soft_time_limit= is {soft:g} s, but time_limit= ends the task before that, after {hard:g} s")
    for key, (limit, what) in _COUNTED_BY.items():
        if getattr(options, key) is not None and getattr(options, limit) is None:
            raise TypeError(f"{where} got {key}=, but no {limit}=; say {what} under one key")
    for name in () if options.unique else unique.OPTIONS:
        if getattr(options, name) != _DEFAULTS[name]:
            raise TypeError(f"{where} got {name}=, but no unique=; say by what a task is the only one: True, or a template")
    return options


def _checked(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    kept = dict(given)
    if "retries" in kept and "max_retries" in kept:
        raise TypeError(f"{where} got both retries= and max_retries=; retries= is short for max_retries= and autoretry_for=")
    if "retries" in kept:
        kept["max_retries"] = whole(kept.pop("retries"), "retries", where, 0, None)
        kept.setdefault("autoretry_for", (Exception,))
    for name in _SECONDS:
        if name in kept and not (kept[name] is None and _DEFAULTS[name] is None):
            kept[name] = seconds(kept[name], f"{where} {name}=")
    for name in _LIMITS:
        if kept.get(name) == 0:
            raise ValueError(f"{where} {name}= is 0, but a task takes some time; None is without a limit")
    for name in _FLAGS:
        if name in kept:
            check_flag(kept[name], f"{where} {name}=")
    if kept.get("queue") is not None:
        kept["queue"] = keys.check_name(kept["queue"], f"{where} queue=")
    for name in ("autoretry_for", "dont_autoretry_for"):
        if name in kept:
            kept[name] = _error_types(kept[name], f"{where} {name}=")
    if "priority" in kept:
        kept["priority"] = whole(kept["priority"], "priority", where, -100, 100)
    if "stream_max" in kept:
        kept["stream_max"] = whole(kept["stream_max"], "stream_max", where, 1, None)
    if "max_deliveries" in kept:
        kept["max_deliveries"] = whole(kept["max_deliveries"], "max_deliveries", where, 1, None)
    if kept.get("max_retries") is not None:
        kept["max_retries"] = whole(kept["max_retries"], "max_retries", where, 0, None)
    if kept.get("max_concurrency") is not None:
        kept["max_concurrency"] = whole(kept["max_concurrency"], "max_concurrency", where, 1, None)
    if kept.get("rate_limit") is not None:
        kept["rate_limit"] = check_rate(kept["rate_limit"], f"{where} rate_limit=")
    for name in KEYS:
        if kept.get(name) is not None:
            kept[name] = check_key(kept[name], f"{where} {name}=")
    unique.check(kept, where)
    if "retry_backoff" in kept and not isinstance(kept["retry_backoff"], bool):
        kept["retry_backoff"] = seconds(kept["retry_backoff"], f"{where} retry_backoff=")
    if "sensitive" in kept:
        kept["sensitive"] = _names_or_flag(kept["sensitive"], f"{where} sensitive=")
    return kept


def _names_or_flag(value: Any, what: str) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, tuple | list | set | frozenset) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what} takes True, or the names of arguments such as ('password',), not {value!r:.80}")
    return tuple(names)


def whole(value: Any, name: str, where: str, low: int, high: int | None) -> int:
    """Return `value` when it is a whole number from `low` to `high` (None: no bound)."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{where} {name}= takes a whole number, not {value!r:.80}")
    if value < low or (high is not None and value > high):
        allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{where} {name}= takes a whole number {allowed}, not {value!r:.80}")
    return value


def _error_types(value: Any, what: str) -> ErrorTypes:
    kinds = value if isinstance(value, tuple | list) else (value,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"{what} takes exception classes, such as (OSError,), not {kind!r:.80}")
    return tuple(kinds)


def seconds(value: Any, what: str) -> float:
    """Return a duration as seconds; int, float or timedelta, not negative."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} takes seconds (int, float or timedelta), not {value!r:.80}")
    if not 0 <= value < _LONGEST:
        raise ValueError(f"{what} takes seconds from 0 to {_LONGEST:g}, not {value!r:.80}")
    return value


def instant_ms(value: datetime, what: str) -> int:
    """Return an aware datetime as ms since the epoch; one beyond the years 1 to 9999 of UTC as the nearest within."""
    if not isinstance(value, datetime):
        raise TypeError(f"{what} takes an aware datetime, not {value!r:.80}")
    if value.utcoffset() is None:
        raise ValueError(f"{what} got the naive {value!r}; say which zone it is in, e.g. {value.replace(tzinfo=UTC)!r}")
    return (min(max(value, _FIRST), _LAST) - _EPOCH) // timedelta(milliseconds=1)


def datetime_of(ms: float) -> datetime:
    """Return ms since the epoch as a datetime in UTC; years that no datetime can show as the nearest one that can."""
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return _FIRST if ms < 0 else _LAST
