"""Timetables: at which instants a schedule has its slots. Pure: no clock, no store; all times are ms since the epoch.

Every worker has to find the same slots, so nothing here depends on when a worker was started, or on the zone of its machine. What
cron fields and time zones mean is in cron.py; who fires a slot, and what becomes of one that was missed, is not decided here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cached_property
from itertools import islice, takewhile
from typing import Any

from hotqueue.tasks.rules.cron import Cron, tidy, zone_of
from hotqueue.tasks.rules.options import datetime_of, instant_ms, seconds

SHORTEST = 100  # ms between two slots at least
Field = int | str | Iterable[int | str]

_RANGE = re.compile(r"(\w+)-(\w+)(?:/([1-9]\d*))?")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("", "january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


class crontab:  # as Celery spells it
    """A time of the day, a day of the week and so on, as Celery takes it: ``crontab(minute=0, hour=3, day_of_week="mon-fri")``.

    Each is a number, a string such as ``"*/15"``, ``"8-18/2"``, ``"mon,fri"`` or ``"22-2"`` (over the end), or some numbers.
    Where days are given by number and by name, both have to be right, as in Celery; in a cron string, one of them is enough.

    Args:
        minute: 0 to 59.
        hour: 0 to 23.
        day_of_month: 1 to 31.
        month_of_year: 1 to 12, or their names.
        day_of_week: 0 (Sunday) to 6, or their names.

    Raises:
        TypeError, ValueError: none of these, or a day that never comes; with the value.
    """

    __module__ = "hotqueue.tasks"

    def __init__(
        self,
        minute: Field = "*",
        hour: Field = "*",
        day_of_month: Field = "*",
        month_of_year: Field = "*",
        day_of_week: Field = "*",
    ) -> None:
        given = (
            _field("minute", minute, 0, 59),
            _field("hour", hour, 0, 23),
            _field("day_of_month", day_of_month, 1, 31),
            _field("month_of_year", month_of_year, 1, 12, _MONTHS),
            _field("day_of_week", day_of_week, 0, 6, _DAYS),
        )
        self._fields = " ".join(given)
        Cron(self._fields, is_both_days=True)

    def __repr__(self) -> str:
        names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        given = zip(names, self._fields.split(), strict=True)
        return f"crontab({', '.join(f'{name}={value!r}' for name, value in given if value != '*')})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, crontab) and other._fields == self._fields

    def __hash__(self) -> int:
        return hash(self._fields)


When = str | int | float | timedelta | crontab


@dataclass(frozen=True)
class Timetable:
    """The slots of a schedule; two that are equal have the same text.

    Attributes:
        kind: "every", "cron", or "crontab": cron by Celery's rule for days.
        what: the ms between two slots; or the fields.
        tz: the name of the zone whose clock the fields are about.
        until: ms since the epoch; no slot is later.
    """

    kind: str
    what: str
    tz: str = "UTC"
    until: int | None = None

    @classmethod
    def of(cls, when: Any, tz: str | tzinfo = "UTC", until: datetime | None = None) -> Timetable:
        """Return the timetable that a user described.

        Args:
            when: a cron string, `crontab(…)`; or seconds or a timedelta between slots, which are counted from the epoch.
            tz: IANA name of a time zone; slots that are counted are the same in all.
            until: an aware datetime; slots after it are none.

        Raises:
            TypeError, ValueError: what cannot be one, with the value.
        """
        zone, last = _zone_name(tz), None if until is None else instant_ms(until, "until=")
        if isinstance(when, crontab):
            return cls("crontab", when._fields, zone, last)
        if isinstance(when, str):
            made = cls("cron", tidy(when), zone, last)
            assert made._cron
            return made
        if isinstance(when, bool) or not isinstance(when, int | float | timedelta):
            raise TypeError(
                f"a schedule takes a cron string such as '*/5 * * * *', seconds, a timedelta or crontab(…), not {when!r:.80}"
            )
        if (when.total_seconds() if isinstance(when, timedelta) else when) < SHORTEST / 1000:
            raise ValueError(f"a schedule takes at least {SHORTEST / 1000:g} s between slots, not {when!r:.80}")
        return cls("every", str(round(seconds(when, "a schedule") * 1000)), "UTC", last)

    @classmethod
    def read(cls, text: str) -> Timetable:
        """Return the timetable of a text.

        Raises:
            ValueError: it is none, or none that this version or machine knows.
        """
        kind, _, rest = text.partition(" ")
        tz, _, rest = rest.partition(" ")
        last, _, what = rest.partition(" ")
        if kind in ("every", "cron", "crontab") and re.fullmatch(r"-|-?\d+", last):
            made = cls(kind, what, tz, None if last == "-" else int(last))
            if re.fullmatch(r"\d+", what) and int(what) >= SHORTEST if kind == "every" else tidy(what) == what and made._cron:
                return made
        raise ValueError(f"no timetable that this version of hotqueue knows: {text!r:.120}")

    @property
    def text(self) -> str:
        """What is stored: ``cron Europe/Paris - */5 * * * *``, ``every UTC - 30000``; the third word is `until`."""
        return f"{self.kind} {self.tz} {'-' if self.until is None else self.until} {self.what}"

    @property
    def words(self) -> str:
        """What people are told: ``every 30 s``, ``*/5 * * * * Europe/Paris``."""
        found = f"every {self._every / 1000:.12g} s" if self.kind == "every" else f"{self.what} {self.tz}"
        return found if self.until is None else f"{found}, until {slot_text(self.until)}"

    def after(self, ms: int) -> int | None:
        """Return the first slot later than an instant; None when there is none."""
        if self._cron is None:
            found: int | None = (ms // self._every + 1) * self._every
        else:
            second = self._cron.after(ms // 1000)
            found = None if second is None else second * 1000
        return None if found is None or (self.until is not None and found > self.until) else found

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        """Return the slots later than one instant and not later than another, in order: the newest `limit` of them.

        However long ago `after_ms` is, it takes the time of `limit` slots.
        """
        last = until_ms if self.until is None else min(until_ms, self.until)
        if self._cron is None:
            every = self._every
            newest = last // every
            oldest = max(after_ms // every + 1, newest - limit + 1)
            return [count * every for count in range(oldest, newest + 1)]
        found = (second * 1000 for second in self._cron.until(last // 1000))
        return list(islice(takewhile(lambda slot: slot > after_ms, found), limit))[::-1]

    @cached_property
    def _cron(self) -> Cron | None:
        return None if self.kind == "every" else Cron(self.what, zone_of(self.tz), self.kind == "crontab")

    @cached_property
    def _every(self) -> int:
        return int(self.what)


def slot_text(ms: int) -> str:
    """Return a slot as ids have it, ISO 8601 in UTC: ``2026-11-29T10:00:00Z``; with ``.250Z`` where there are ms."""
    return datetime_of(ms).isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


def jitter_ms(name: str, slot: int, jitter: float) -> int:
    """Return by how many ms a schedule's slot is put off, 0 to `jitter` seconds; all processes find the same."""
    found = hashlib.blake2b(f"{slot} {name}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(found) % (round(jitter * 1000) + 1)


def _zone_name(tz: str | tzinfo) -> str:
    name: object = tz
    if isinstance(tz, tzinfo):
        name = "UTC" if tz == UTC else getattr(tz, "key", None)
    if not isinstance(name, str):
        fixed = ", which is an offset, and not the name of a zone" if isinstance(tz, timezone) else ""
        raise TypeError(f"tz= takes an IANA name such as 'Europe/Paris', not {tz!r:.80}{fixed}")
    zone_of(name)
    return name


def _field(name: str, value: Field, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    """Return a field of cron for what Celery takes."""
    items = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    if (
        isinstance(value, bytes | Mapping)
        or not items
        or not all(isinstance(item, int | str) and not isinstance(item, bool) for item in items)
    ):
        raise TypeError(f"crontab({name}=) takes a number, a string such as '*/15', or some numbers, not {value!r:.80}")
    if not isinstance(value, str) and isinstance(value, Iterable):
        items = sorted(items, key=lambda item: (isinstance(item, str), item))  # of sets: the same text for the same field
    words = [_unwrapped(part.strip().lower(), low, high, names) for item in items for part in str(item).split(",")]
    field = ",".join(words)
    if field.split() != [field]:
        raise ValueError(f"crontab({name}=) takes {low} to {high}, and lists, ranges and steps of these, not {value!r:.80}")
    return field


def _unwrapped(word: str, low: int, high: int, names: tuple[str, ...]) -> str:
    """Return one part of a field with numbers for names, and a range that goes over the end as a list."""

    def number(text: str) -> str:
        found = [place for place, full in enumerate(names) if len(text) >= 3 and full.startswith(text)]
        return str(found[0]) if found else text

    span = _RANGE.fullmatch(word)
    if span is None:
        return number(word)
    first, last, step = number(span[1]), number(span[2]), int(span[3] or 1)
    if not (first.isdecimal() and last.isdecimal()) or int(first) <= int(last) or not low <= int(first) <= high:
        return f"{first}-{last}{'' if step == 1 else f'/{step}'}"
    return ",".join(map(str, [*range(int(first), high + 1), *range(low, int(last) + 1)][::step]))
