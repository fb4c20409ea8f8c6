"""The options of `get`, `consume` and `worker`: what they may be, and what to say of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hotqueue.hints import did_you_mean

WORKER_OPTIONS = ("block", "timeout")


def seconds(value: float | timedelta | None, what: str) -> float | None:
    """Return a duration as seconds; None stays None.

    Raises:
        TypeError: not an int, float, timedelta or None.
        ValueError: negative or not a number.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} takes seconds (int, float or timedelta) or None, not {value!r:.80}")
    if not value >= 0:
        raise ValueError(f"{what} takes seconds from 0, not {value!r:.80}; None waits for ever")
    return float(value)


def patience(block: bool, timeout: float | timedelta | None, call: str) -> float | None:
    """Return how many seconds a call with these options waits; None is for ever.

    Raises:
        TypeError: `block` is no flag: ``get(5)`` would wait for ever. As `seconds`.
        ValueError: as `seconds`.
    """
    if not isinstance(block, bool):
        hint = f"; did you mean timeout={block!r}?" if isinstance(block, int | float | timedelta) else ""
        raise TypeError(f"{call}(block=) takes True or False, not {block!r:.80}{hint}")
    return seconds(timeout, f"{call}(timeout=)")


def check_options(options: dict[str, Any]) -> None:
    """Raise TypeError for an option that `worker` does not know; TypeError or ValueError for a wrong value."""
    for name in options:
        if name not in WORKER_OPTIONS:
            hint = did_you_mean(name, WORKER_OPTIONS) or f"; known are {', '.join(WORKER_OPTIONS)}"
            raise TypeError(f"@queue.worker got an unknown option {name!r}{hint}")
    patience(options.get("block", True), options.get("timeout"), "@queue.worker")
