"""What has happened to a task so far: the value of the `attempts` hash. Pure.

One head line that Lua can read, ``retries deliveries need expires verdict``, then one line of JSON an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

KEPT_ERRORS = 5
TIME_LIMIT = "T"  # verdict: its process was ended because the task ran into its time limit
REVOKED = "R"  # verdict: its process was ended because the task was revoked


@dataclass(slots=True)
class Attempts:
    """A task's history.

    Attributes:
        retries: how often it was run again after an error or `Retry`.
        deliveries: how often a process died with it.
        need: what it is parked for, or "-".
        expires: server time in ms after which it must not start, or None.
        verdict: what its supervisor found about the last run, or "-".
        errors: the last few, oldest first: dicts with ``at`` (ms), ``error``, ``kind``.
    """

    retries: int = 0
    deliveries: int = 0
    need: str = "-"
    expires: int | None = None
    verdict: str = "-"
    errors: list[dict[str, Any]] = field(default_factory=list)

    def encode(self) -> str:
        """Return the value to store."""
        expires = "-" if self.expires is None else str(self.expires)
        head = f"{self.retries} {self.deliveries} {self.need} {expires} {self.verdict}"
        return "\n".join([head, *(json.dumps(e, separators=(",", ":")) for e in self.errors[-KEPT_ERRORS:])])

    def after_retry(self, error: dict[str, Any] | None) -> Attempts:
        """Return the history with one retry more."""
        errors = [*self.errors, error] if error else self.errors
        return Attempts(self.retries + 1, self.deliveries, "-", self.expires, "-", errors)


def decode(value: bytes) -> Attempts:
    """Return the history in a stored value; b"" is that of a task to which nothing has happened."""
    if not value:
        return Attempts()
    head, *lines = value.decode("utf-8", "replace").split("\n")
    retries, deliveries, need, expires, verdict = (head.split(" ") + ["-"] * 5)[:5]
    errors = [parsed for parsed in map(_parsed, lines) if parsed]
    try:
        counts, until = (int(retries), int(deliveries)), int(expires) if expires != "-" else None
    except ValueError:  # somebody else wrote here: take the task for a new one
        return Attempts()
    return Attempts(*counts, need, until, verdict, errors[-KEPT_ERRORS:])


def error_line(kind: str, error: str, at: int, **more: Any) -> dict[str, Any]:
    """Return one entry of the history; `error` is cut at 500 characters."""
    return {"at": at, "kind": kind, "error": error[:500], **more}


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
