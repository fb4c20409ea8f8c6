"""Filters: which tasks somebody wants to see, as commands, screens and addresses say it: ``task:mail failed:>1h``. Pure.

What a filter is, and which tasks meet it; how it is written and read: filter_text.py. Ages in it stay ages, so that it means
tomorrow what it means today.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from hotqueue.hints import did_you_mean
from hotqueue.monitor.row import Row

RUNNING, WAITING, RETRYING, SCHEDULED, PARKED, DEAD = "running", "waiting", "retrying", "scheduled", "parked", "dead"
ENDED = "ended"
UNENDED = (RUNNING, WAITING, RETRYING, SCHEDULED, PARKED, DEAD)  # what a list without a state has: of these something can become
STATES = (*UNENDED, ENDED)
OUTCOMES = ("succeeded", "failed", "revoked", "expired", "replaced")  # of what has ended
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(ms|s|m|min|h|d|w)?")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def span_of(text: str) -> int | None:
    """Return how many ms a span of time has: ``90s``, ``15m``, ``2h``, ``7d``; None for what is none."""
    found = _SPAN.fullmatch(text.strip())
    return int(float(found[1]) * _UNITS[found[2] or "s"]) if found else None


def instant_of(text: str, now: int) -> int:
    """Return the instant (ms since the epoch) that somebody names: ``90s``, ``15m``, ``2h``, ``7d`` ago, or an ISO time.

    Raises:
        ValueError: it is neither; or a time without a zone, which would mean another instant elsewhere.
    """
    span = span_of(text)
    if span is not None:
        return now - span
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
    there = f"; there are {', '.join(STATES)}"
    raise ValueError(f"there is no state {text!r:.80}{did_you_mean(text, STATES) or there}")


NAME, TEXT, TIME, SPAN, NUMBER = "name", "text", "time", "span", "number"  # kinds of fields


@dataclass(frozen=True, slots=True)
class Field:
    """What a term may be about.

    Attributes:
        kind: NAME (a name, or a glob of names; one of several), TEXT (is in it, in any case), or TIME, SPAN, NUMBER (compared).
        example: as somebody may write it.
        says: what it is about, in a few words.
    """

    kind: str
    example: str
    says: str


FIELDS = {
    "task": Field(NAME, "task:mail", "name of the task, or shop.*"),
    "queue": Field(NAME, "queue:low", "its queue, or tenant-*"),
    "state": Field(NAME, "state:dead", "how it is: " + ", ".join(STATES)),
    "id": Field(NAME, "id:4f…", "its id, or the begin of it with *"),
    "worker": Field(NAME, "worker:web-1*", "the worker that has it in hand"),
    "outcome": Field(NAME, "outcome:failed", "how it ended: " + ", ".join(OUTCOMES)),
    "arg": Field(TEXT, 'arg:"4"', "a word in its arguments; *text* anywhere in them"),
    "error": Field(TEXT, "error:timeout", "text of the last error"),
    "age": Field(TIME, "age:>1h", "since it was sent; of a dead one, since it died"),
    "sent": Field(TIME, "sent:<15m", "when it was sent: longer or less long ago than that"),
    "failed": Field(TIME, "failed:>1h", "when it died"),
    "started": Field(TIME, "started:<15m", "when it last began to run, of those that have ended"),
    "ended": Field(TIME, "ended:<15m", "when it ended"),
    "due": Field(TIME, "due:<10m", "when its time comes: later, or sooner than in so long"),
    "run": Field(SPAN, "run:>2s", "how long it ran"),
    "attempts": Field(NUMBER, "attempts:>1", "how often it was started"),
    "retries": Field(NUMBER, "retries:>2", "how often it was tried again"),
    "deaths": Field(NUMBER, "deaths:>0", "how many processes died with it"),
    "priority": Field(NUMBER, "priority:>0", "its priority"),
}
ANYWHERE = "text"  # of a term without a field: text that the id, the name, the arguments or the error has
_ATTRIBUTES = {"failed": "died", "deaths": "deliveries"}


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is said of the tasks that are wanted.

    Attributes:
        field: of FIELDS, or ANYWHERE.
        value: of what `sign` compares, without it.
        sign: ">" or "<"; "" where nothing is compared.
        is_not: those are wanted of which it is not so.
    """

    field: str
    value: str
    sign: str = ""
    is_not: bool = False

    @property
    def kind(self) -> str:
        """Of the field."""
        return TEXT if self.field == ANYWHERE else FIELDS[self.field].kind

    def is_met_by(self, row: Row, now: int) -> bool:
        """Tell whether it is so, without its `is_not`."""
        return _MEETS[self.kind](self, row, now)


def _name(term: Term, row: Row, _now: int) -> bool:
    name = str(getattr(row, term.field, "") or "")
    return name == term.value or fnmatchcase(name, term.value)


def _text(term: Term, row: Row, _now: int) -> bool:
    sought = term.value.casefold()
    if term.field == ANYWHERE:
        return any(sought in text.casefold() for text in (row.task, row.id, row.args, row.error))
    if term.field == "error":
        return sought in row.error.casefold()
    begins, ends = (r"(?<!\w)" if sought[:1].isalnum() else ""), (r"(?!\w)" if sought[-1:].isalnum() else "")
    *first, last = map(re.escape, sought.split("*"))
    text, at = row.args.casefold(), 0
    for pattern in (*first, last + ends):  # each where it comes first: one pattern with all of them could look for years
        found = re.compile(begins + pattern).search(text, at)
        if found is None:
            return False
        at, begins = found.end(), ""
    return True


def _time(term: Term, row: Row, now: int) -> bool:
    if term.field == "age":
        at: int | None = row.at
    else:
        moment = getattr(row, _ATTRIBUTES.get(term.field, term.field), None)
        at = int(moment.timestamp() * 1000) if isinstance(moment, datetime) else None
    if at is None:
        return False
    span = span_of(term.value)
    if span is None:  # a time: > is later
        return (at >= instant_of(term.value, now)) is (term.sign == ">")
    if term.field == "due":
        return at > now + span if term.sign == ">" else at <= now + span
    return (at < now - span) is (term.sign == ">")


def _span(term: Term, row: Row, _now: int) -> bool:
    seconds, span = getattr(row, _ATTRIBUTES.get(term.field, term.field), None), span_of(term.value)
    if seconds is None or span is None:
        return False
    return bool(seconds * 1000 > span if term.sign == ">" else seconds * 1000 < span)


def _number(term: Term, row: Row, _now: int) -> bool:
    number = getattr(row, _ATTRIBUTES.get(term.field, term.field), None)
    if number is None:
        return False
    wanted = int(term.value)
    return bool(number > wanted if term.sign == ">" else number < wanted if term.sign == "<" else number == wanted)


_MEETS: dict[str, Callable[[Term, Row, int], bool]] = {NAME: _name, TEXT: _text, TIME: _time, SPAN: _span, NUMBER: _number}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks are wanted: all that is said has to be so; of several names for one field, one."""

    terms: tuple[Term, ...] = ()

    @property
    def is_any(self) -> bool:
        """True where all tasks are."""
        return not self.terms

    def is_met_by(self, row: Row, now: int) -> bool:
        """Tell whether a task is wanted at an instant (ms)."""
        named: dict[str, bool] = {}
        for term in self.terms:
            is_so = term.is_met_by(row, now)
            if term.is_not or term.kind != NAME:
                if is_so is term.is_not:
                    return False
            else:
                named[term.field] = named.get(term.field, False) or is_so
        return all(named.values())

    def names(self, field: str, known: Iterable[str]) -> list[str]:
        """Return those of some names of a field, such as all queues, that are wanted."""
        said = [term for term in self.terms if term.field == field]
        wanted = [term.value for term in said if not term.is_not]
        return [
            name
            for name in known
            if (not wanted or any(_is_named(name, value) for value in wanted))
            and not any(_is_named(name, term.value) for term in said if term.is_not)
        ]

    def only(self, field: str) -> str:
        """Return the one name, no glob, that a field is to have where nothing else is said of any; else ""."""
        first = self.terms[0] if len(self.terms) == 1 else None
        is_one = first is not None and first.field == field and not first.is_not and not set(first.value) & set("*?[")
        return first.value if first is not None and is_one else ""

    def one(self, field: str) -> str:
        """Return the one value that is said of a field; "" where there is none, or more."""
        said = [term for term in self.terms if term.field == field]
        return said[0].value if len(said) == 1 and not said[0].is_not else ""

    def but(self, field: str, values: Sequence[str] = ()) -> Filter:
        """Return a filter that says this of a field, and the same of all others."""
        return Filter((*(term for term in self.terms if term.field != field), *(Term(field, value) for value in values)))


def _is_named(name: str, value: str) -> bool:
    return name == value or fnmatchcase(name, value)
