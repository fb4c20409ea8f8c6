"""Gates: what bounds how many tasks run at a time, or start in a while, and under which keys a call counts. Pure.

Gates travel with their call, as lines that Lua reads: ``c4 k:tenant-7``, at most four at a time under that key;
``r100/60000 k:api``, at most a hundred starts in any 60,000 ms; ``f k:tenant-7``, keys take turns. What scripts make of them is
in broker/lua/shared/gates.lua; why it is so, in docs/decisions/0044 and 0052.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

from hotqueue.tasks.rules.call_keys import Key, key_of

_LINE = rb"(?:c[1-9][0-9]* [tk]:[^\n]+|r[1-9][0-9]*/[1-9][0-9]* [tk]:[^\n]+|f k:[^\n]+)"
GATES = re.compile(rb"%b(?:\n%b)*" % (_LINE, _LINE))
_RATED = re.compile(rb"(?:^|\n)r[0-9]+/([0-9]+) ")

# A start counts from its fetch on, for the period and as long as it may take until it takes place: ms, and a part of the period.
LATEST, LATE_PART = 500, 16
RATE_PART = 10  # of a rate's limit, so much goes together to a worker that runs one task after another

_PERIODS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RATE = re.compile(r"([0-9]{1,30})/([smhd])")
_MOST_STARTS = 10**9
_FORMS = "a rate such as '100/m': how many start in any s, m, h or d"


class Gate(NamedTuple):
    """One gate of a call.

    Attributes:
        what: "c" at a time, "r" a rate, "f" turns.
        key: with its "t:" or "k:".
        limit: how many at a time, or in a period; 0 where that says nothing.
        period: ms, of a rate.
    """

    what: str
    key: str
    limit: int = 0
    period: int = 0


class Bounds(Protocol):
    """The options that bound a call."""

    @property
    def max_concurrency(self) -> int | None: ...
    @property
    def concurrency_key(self) -> Key | None: ...
    @property
    def rate_limit(self) -> str | None: ...
    @property
    def rate_limit_key(self) -> Key | None: ...
    @property
    def fair_key(self) -> Key | None: ...


def check_rate(rate: Any, what: str) -> str:
    """Return a rate when it is one.

    Raises:
        TypeError, ValueError: it is none; both say what one looks like.
    """
    if not isinstance(rate, str):
        raise TypeError(f"{what} takes {_FORMS}, not {rate!r:.80}")
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError(f"{what} takes {_FORMS}, not {rate!r:.80}")
    if not 0 < int(found[1]) <= _MOST_STARTS:
        raise ValueError(f"{what} lets 1 to {_MOST_STARTS} start, not {rate!r:.80}")
    return rate


@cache
def rate_of(rate: str) -> tuple[int, int]:
    """Return how many may start in how many ms."""
    limit, _, unit = rate.partition("/")
    return int(limit), _PERIODS[unit]


def of_call(bounds: Bounds, name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """Return the gates of a call, a line each.

    Args:
        name: of the task, whose calls count together where no key is said.

    Raises:
        TypeError, ValueError: the arguments make no key.
    """

    def counted(key: Key | None, option: str) -> bytes:
        if key is None:
            return b"t:%b" % name.encode()
        return b"k:%b" % key_of(key, signature, args, kwargs, f"{name}: {option}=")

    lines = []
    if bounds.max_concurrency is not None:
        lines.append(b"c%d %b" % (bounds.max_concurrency, counted(bounds.concurrency_key, "concurrency_key")))
    if bounds.rate_limit is not None:
        lines.append(b"r%d/%d %b" % (*rate_of(bounds.rate_limit), counted(bounds.rate_limit_key, "rate_limit_key")))
    if bounds.fair_key is not None:
        lines.append(b"f %b" % counted(bounds.fair_key, "fair_key"))
    return b"\n".join(lines)


def read(gates: bytes) -> list[Gate]:
    """Return the gates of a call."""
    found = []
    for line in gates.split(b"\n"):
        bound, _, key = line.partition(b" ")
        limit, _, period = bound[1:].partition(b"/")
        found.append(Gate(chr(line[0]), key.decode("utf-8", "replace"), int(limit or 0), int(period or 0)))
    return found


def late_after(gates: bytes) -> float | None:
    """Return how many seconds after its fetch a call may still be started, where a rate bounds it: there it was counted.

    It is half of the time that its start may take: the other half is for what comes between, on a machine that is busy.
    """
    periods = [int(period) for period in _RATED.findall(gates)]
    return min(min(LATEST, period // LATE_PART) for period in periods) / 2000 if periods else None


def shown(key: str) -> str:
    """Return a gate's key as people know it."""
    return f"task {key[2:]}" if key.startswith("t:") else f"key {key[2:]!r}"


def said(key: str) -> str | None:
    """Return a gate's key as a program says it; None where all calls of a task count together."""
    return key[2:] if key.startswith("k:") else None
