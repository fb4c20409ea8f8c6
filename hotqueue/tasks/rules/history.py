"""What has happened to a task so far: the value of the `attempts` hash. Pure.

One head line that Lua can read, ``retries deliveries need expires verdict``, and ``shared lost width`` once they are not all 0;
then one line of JSON an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from hotqueue.plurals import plural

KEPT_ERRORS = 5
KILLED = "-"  # what a dead process means for what it ran: nothing is known but that it died
LOST = "L"  # the same: it was lost with its host, or with its supervisor
TIME_LIMIT = "T"  # the same, and a verdict: it was ended because the task ran into its time limit
REVOKED = "R"  # the same: it was ended because the task was revoked, or the task had not started when it was
CHECKPOINT = " c"  # a word behind the numbers: the task has kept something for its next run
FORGIVEN = " f"  # with a number, another: so many deliveries had been charged when a run came further than those before
BACK = " d"  # with a time in ms, another: when it was sent again from the dead list, and was due since
MOST = 10  # times `max_deliveries`: so often it is delivered however far it comes
# What becomes of a step of a workflow another task had whose unique key when it began: it fails, or it ends as that one did.
DUPLICATE, JOINED = "D", "J"
WANTED = "W"  # no verdict: its result is owned, so it stores one whatever its options say; never stored, but told with a fetch
# What becomes of a task should its process die (see `fate`): if it ran alone there, or beside others too, it does not run again;
# if it ran beside others, it is a suspect.
LAST_ALONE, LAST, SUSPECT = 1, 2, 4


@dataclass(slots=True)
class History:
    """A task's history.

    Attributes:
        retries: how often it was run again after an error or `Retry`.
        deliveries: how often a process died while it was the only one running there; what `max_deliveries` bounds.
        need: what it is parked for, or "-".
        expires: server time in ms after which it must not start, or None.
        verdict: what its supervisor found about the last run, or "-".
        errors: the last few, oldest first: dicts with ``at`` (ms), ``error``, ``kind``.
        shared: how often a process died while it ran there beside others.
        lost: how often a host, or a supervisor, was lost with it.
        width: how many may run side by side with it in quarantine, itself included; 0 while it is not suspected.
        unknown: words behind these numbers: CHECKPOINT, FORGIVEN, BACK, and what a newer version has put there, kept as it is.
    """

    retries: int = 0
    deliveries: int = 0
    need: str = "-"
    expires: int | None = None
    verdict: str = "-"
    errors: list[dict[str, Any]] = field(default_factory=list)
    shared: int = 0
    lost: int = 0
    width: int = 0
    unknown: str = ""

    @property
    def has_checkpoint(self) -> bool:
        """True when a run has kept something for the next one."""
        return CHECKPOINT in self.unknown and CHECKPOINT[1:] in self.unknown.split()

    def with_checkpoint(self) -> History:
        """Return the history of a task that has kept something."""
        return self if self.has_checkpoint else replace(self, unknown=self.unknown + CHECKPOINT)

    @property
    def due(self) -> int | None:
        """Since when it waits for this run, in ms, if not since it was first due; -1 where nobody knows."""
        if self.tries:
            at = self.errors[-1].get("due") if self.errors else None
            return at if isinstance(at, int) else -1
        found = [word[1:] for word in self.unknown.split() if word[0] == BACK[1] and word[1:].isdecimal()]
        return int(found[0]) if found else None

    @property
    def forgiven(self) -> int:
        """How many of its deliveries count no more, since a run came further than those before."""
        found = [word[1:] for word in self.unknown.split() if word[0] == FORGIVEN[1] and word[1:].isdecimal()]
        return min(int(found[0]), self.deliveries) if found else 0

    def come_further(self) -> History:
        """Return the history of a task that has come further than in its runs before."""
        others = [word for word in self.unknown.split() if not (word[0] == FORGIVEN[1] and word[1:].isdecimal())]
        return replace(self, unknown="".join(f" {word}" for word in [*others, f"{FORGIVEN[1]}{self.deliveries}"]))

    @property
    def holder(self) -> str:
        """The id of the task that had the unique key of this one when it began; "" where none had."""
        found = [e.get("task") for e in self.errors if e.get("kind") in ("duplicate", "joined")]
        return str(found[-1]) if found else ""

    @property
    def deaths(self) -> int:
        """How often a process or a host was lost with it, for whatever reason."""
        return self.deliveries + self.shared + self.lost

    @property
    def tries(self) -> int:
        """How often it was run, as far as anybody knows, without coming to its end."""
        return self.retries + self.deaths

    def encode(self) -> str:
        """Return the value to store."""
        expires = "-" if self.expires is None else str(self.expires)
        head = f"{self.retries} {self.deliveries} {self.need} {expires} {self.verdict}"
        if self.shared or self.lost or self.width or self.unknown:
            head += f" {self.shared} {self.lost} {self.width}{self.unknown}"
        return "\n".join([head, *(json.dumps(e, separators=(",", ":")) for e in self.errors[-KEPT_ERRORS:])])

    def after_retry(self, error: dict[str, Any] | None) -> History:
        """Return the history with one retry more; what ran to an end is not suspected any more."""
        errors = [*self.errors, error] if error else self.errors
        return History(
            self.retries + 1, self.deliveries, "-", self.expires, "-", errors, self.shared, self.lost, unknown=self.unknown
        )


JUST_WANTED = f"0 0 - - {WANTED}".encode()  # of a step that nothing has happened to, as lua/shared/owning.lua tells it


def decode(value: bytes) -> History:
    """Return the history in a stored value; b"" is that of a task to which nothing has happened."""
    if not value:
        return History()
    if value == JUST_WANTED:
        return History(verdict=WANTED)
    head, *lines = value.decode("utf-8", "replace").split("\n")
    words = head.split(" ")
    retries, deliveries, need, expires, verdict = (words + ["-"] * 5)[:5]
    errors = [parsed for parsed in map(json_object, lines) if parsed]
    try:
        counts, until = (int(retries), int(deliveries)), int(expires) if expires != "-" else None
        shared, lost, width = map(int, words[5:8] or (0, 0, 0))
    except ValueError:  # somebody else wrote here: take the task for a new one
        return History()
    return History(
        *counts, need, until, verdict, errors[-KEPT_ERRORS:], shared, lost, width, "".join(f" {word}" for word in words[8:])
    )


def is_over(history: History, max_deliveries: int) -> bool:
    """Tell whether a task is not to run again; one that may be delivered once is not, whatever death it may have begun before."""
    return _is_too_often(history, history.deliveries, max_deliveries) or (max_deliveries == 1 and history.deaths > 0)


def fate(history: History, max_deliveries: int) -> int:
    """Return what becomes of a task that starts now, should its process die: a sum of LAST, LAST_ALONE and SUSPECT."""
    is_last = _is_too_often(history, history.deliveries + 1, max_deliveries)
    is_suspect = history.width > 0 or history.shared > 0
    return LAST_ALONE * is_last + LAST * (max_deliveries == 1) + SUSPECT * is_suspect


def _is_too_often(history: History, deliveries: int, most: int) -> bool:
    return deliveries - history.forgiven >= most or deliveries >= MOST * most


def is_last(fate: int, ran: int) -> bool:
    """Tell whether a task of that fate does not run again after the death of a process that ran so many side by side."""
    return bool(fate & (LAST_ALONE if ran == 1 else LAST))


def how_it_killed(how: str, ran: int) -> tuple[str, str]:
    """Return what the history calls the death of a process that ran so many side by side, and what it says of it.

    Args:
        how: how the process ended.
    """
    if ran == 1:
        return "lost", how
    return "shared death", f"{how}, while it ran {plural(ran, 'task')} side by side: one of them may have killed it"


def with_verdict(value: bytes, verdict: str) -> bytes:
    """Return a stored value with another verdict."""
    found = decode(value)
    found.verdict = verdict
    return found.encode().encode()


def error_line(kind: str, error: str, at: int, **more: Any) -> dict[str, Any]:
    """Return one entry of the history; `error` is cut at 500 characters."""
    return {"at": at, "kind": kind, "error": error[:500], **more}


def json_object(data: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object in `data`, which anybody may have written; None for whatever else it is."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
