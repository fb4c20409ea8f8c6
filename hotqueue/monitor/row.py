"""Row: a task in a list, in whatever state it is: what commands, screens and pages show of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """A task in a list.

    Attributes:
        state: one of filters.STATES.
        how: what it waits for, in a few words.
        args: its arguments as text.
        sent: when it was sent, by its sender's clock; None where that is not known.
        due: when its time comes, or it is tried again.
        worker: the incarnation that has it in hand.
        error: the last thing that went wrong with it.
        died: when it went into the dead list.
        outcome: how one that has ended did: "succeeded", "failed", "revoked", "expired", …
        started, ended: the last time that it ran; `run`: for how many seconds.
        attempts: how often it was started, as far as anybody knows, the run that goes on included.
    """

    id: str
    task: str
    queue: str
    state: str
    how: str = ""
    args: str = ""
    priority: int = 0
    sent: datetime | None = None
    due: datetime | None = None
    retries: int = 0
    deliveries: int = 0
    worker: str = ""
    error: str = ""
    died: datetime | None = None
    outcome: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    run: float | None = None
    attempts: int = 0

    @property
    def at(self) -> int:
        """When it was sent, or died, or ended, in ms: what filters go by."""
        moment = self.died or self.ended or self.sent
        return int(moment.timestamp() * 1000) if moment else 0

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints of it."""
        return {name: _plain(getattr(self, name)) for name in Row.__slots__}


# What ends a task without a run of its own: the runs before are all there were.
_NO_RUN = {f"hotqueue.{name}" for name in ("WorkerLost", "CorruptEnvelope", "NewerEnvelope", "SignatureError")}


def attempts_of(tries: int, error: str) -> int:
    """Return how often a task was started that died.

    Args:
        tries: how often it was run without coming to its end.
        error: class path of what ended it.
    """
    return tries + (error not in _NO_RUN)


def moment_of(ms: float) -> datetime | None:
    """Return an instant in UTC; None for 0, and for what no calendar has."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if ms > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
