"""Which tasks somebody wants to see: by name, age and text, as commands and screens say it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from hotqueue.hints import did_you_mean

RUNNING, WAITING, RETRYING, SCHEDULED, PARKED, DEAD = "running", "waiting", "retrying", "scheduled", "parked", "dead"
ENDED = "ended"
UNENDED = (RUNNING, WAITING, RETRYING, SCHEDULED, PARKED, DEAD)  # what a list without a state has: of these something can become
STATES = (*UNENDED, ENDED)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|w)?")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def instant_of(text: str, now: int) -> int:
    """Return the instant (ms since the epoch) that somebody names: ``90s``, ``15m``, ``2h``, ``7d`` ago, or an ISO time.

    Raises:
        ValueError: it is neither; or a time without a zone, which would mean another instant elsewhere.
    """
    if found := _SPAN.fullmatch(text.strip()):
        return now - int(float(found[1]) * _UNITS[found[2] or "s"])
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r:.80} is no time; write 90s, 15m, 2h or 7d (ago), or 2030-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r:.80} has no time zone; write {moment.replace(tzinfo=UTC).isoformat()}")
    return int(moment.timestamp() * 1000)


def state_of(text: str) -> str:
    """Return a state by its name.

    Raises:
        ValueError: there is none, naming the nearest.
    """
    if text in STATES:
        return text
    raise ValueError(f"there is no state {text!r:.80}{did_you_mean(text, STATES) or f'; there are {chr(44).join(STATES)}'}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks are wanted; of what is not said, any.

    Attributes:
        task: a name, or a glob of names: ``shop.*``.
        since, older: sent at or after, before an instant (ms); of a dead task: that died then.
        match: text that the id, the name, the arguments or the last error has, in any case of letters.
    """

    task: str = ""
    since: int | None = None
    older: int | None = None
    match: str = ""

    @property
    def is_any(self) -> bool:
        """True where all tasks are."""
        return not (self.task or self.match) and self.since is None and self.older is None

    def is_met_by(self, name: str, at: int, *texts: str) -> bool:
        """Tell whether a task is wanted.

        Args:
            at: when it was sent, or died, in ms.
            texts: where `match` is looked for.
        """
        if self.task and name != self.task and not fnmatchcase(name, self.task):
            return False
        if (self.since is not None and at < self.since) or (self.older is not None and at >= self.older):
            return False
        if not self.match:
            return True
        sought = self.match.casefold()
        return any(sought in text.casefold() for text in (name, *texts))

    def __str__(self) -> str:
        parts = [f"task {self.task}"] if self.task else []
        parts += [f"since {_iso(self.since)}"] if self.since is not None else []
        parts += [f"older than {_iso(self.older)}"] if self.older is not None else []
        parts += [f"that match {self.match!r}"] if self.match else []
        return ", ".join(parts)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
