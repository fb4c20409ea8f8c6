"""Cron: when the fields of a crontab line come true in a time zone, forwards and backwards. Pure; whole seconds since the epoch.

The library cronsim reads the fields, and steps through what a wall clock shows; which instants those are, and what is made of
hours that a clock leaves out or shows twice, is decided here, for five fields and for six: see docs/schedules.md.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from hotqueue.hints import did_you_mean
from hotqueue.plurals import plural

if TYPE_CHECKING:  # imported when the first cron string is read: programs without one do not need it
    from cronsim import CronSim

FIELDS = ("second", "minute", "hour", "day of month", "month", "day of week")
TAKES = ("0-59", "0-59", "0-23", "1-31, L", "1-12, jan-dec", "0-7, sun-sat")
SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # as a clock shows it
_SECOND = timedelta(seconds=1)
_SOME_TIME = _EPOCH.replace(year=2000)  # from then on, each date falls on each day of the week within the library's 50 years


class Cron:
    """The instants at which a crontab line comes true.

    Attributes:
        fields: five of them, or six with the seconds in front.
        zone: of the clock that they are about.
        is_both_days: True where a day has to be right by its number and by its name, as Celery has it; in cron, one of them
            is enough where both are given.
    """

    def __init__(self, fields: str, zone: tzinfo = UTC, is_both_days: bool = False) -> None:
        self.fields = fields
        self.zone = zone
        self._sim = _read(fields)
        self._sim.day_and |= is_both_days
        if next(copy.copy(self._sim), None) is None:
            raise ValueError(f"cron {fields!r} never comes true: there is no such day; give one that there is")
        minute, hour = fields.split()[-5:-3]
        self._is_steady = minute.startswith("*") or hour.startswith("*")

    def after(self, second: int) -> int | None:
        """Return the first instant later than `second`."""
        return next(self._instants(second + 1, 1), None)

    def until(self, second: int) -> Iterator[int]:
        """Yield the instants up to `second`, the latest first."""
        return self._instants(second, -1)

    def _instants(self, start: int, step: int) -> Iterator[int]:
        """Yield the instants from `start` on, which may be one; `step` is 1 or -1."""
        try:
            yield from (self._as_the_clock_goes if self._is_steady else self._once_a_day)(start, step)
        except (OverflowError, OSError):  # before the year 1, or after 9999
            return

    # --- lines with a time of the day: once, also where the clock leaves that out, or shows it twice -----------------

    def _once_a_day(self, start: int, step: int) -> Iterator[int]:
        here = self._local(start - step)  # as what the clock leaves out may come at `start`
        wall = here.replace(tzinfo=None, fold=0) + step * _SECOND
        if step < 0:  # what a clock shows again later, it has shown before
            wall += timedelta(seconds=_offset(here.replace(fold=0)) - _offset(here))
        last = None
        for each in self._walls(wall, step):
            found = self._instant(each)
            if (found - start) * step >= 0 and found != last:
                last = found
                yield found

    def _instant(self, wall: datetime) -> int:
        """Return when a clock shows this for the first time; of a time that it leaves out, when it does."""
        first, other = (_timestamp(wall.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1))
        if first <= other:
            return first
        return self._change(other, first)  # in a gap, it is the other way round

    # --- lines for all hours or minutes: whenever a clock shows it ---------------------------------------------------

    def _as_the_clock_goes(self, start: int, step: int) -> Iterator[int]:
        known, offset, is_through = start, self._offset(start), False
        while not is_through:
            is_through = True
            for wall in self._walls(_EPOCH + timedelta(seconds=known + offset), step):
                found = (wall - _EPOCH) // _SECOND - offset
                change = self._change_on_the_way(known, found, offset)
                if change is not None:
                    known, offset, is_through = change, self._offset(change), False
                    break
                known = found
                yield found

    def _change_on_the_way(self, start: int, end: int, offset: int) -> int | None:
        """Return the first second on the way from `start` to `end` at which the clock has another offset."""
        step = _DAY if end > start else -_DAY  # none changes twice a day
        for each in [*range(start, end, step), end]:
            if self._offset(each) != offset:
                return self._change(each - step, each)
        return None

    # --- clocks ------------------------------------------------------------------------------------------------------

    def _walls(self, start: datetime, step: int) -> Iterator[datetime]:
        """Yield what a clock shows when the fields are true, from `start` on, which may be one."""
        sim = copy.copy(self._sim)
        sim.dt, sim.tick_direction = start - step * _SECOND, step
        return sim

    def _change(self, before: int, after: int) -> int:
        """Return the second nearest to `before` with the offset that the clock has `after`; either may be the earlier."""
        new = self._offset(after)
        while abs(after - before) > 1:
            middle = (before + after) // 2
            before, after = (before, middle) if self._offset(middle) == new else (middle, after)
        return after

    def _local(self, second: int) -> datetime:
        return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=UTC).astimezone(self.zone)

    def _offset(self, second: int) -> int:
        return _offset(self._local(second))


def _timestamp(aware: datetime) -> int:
    return (aware.replace(tzinfo=None) - _EPOCH) // _SECOND - _offset(aware)


def _offset(aware: datetime) -> int:
    offset = aware.utcoffset()
    assert offset is not None
    return offset // _SECOND


# --- reading ----------------------------------------------------------------------------------------------------------


def tidy(line: str) -> str:
    """Return the fields of a cron string as they are kept: small letters, single spaces, no seconds of 0, no ``@daily``.

    Raises:
        ValueError: that are no five or six.
    """
    words = line.lower().split()
    if len(words) == 1 and words[0].startswith("@"):
        if words[0] not in SHORT:
            hint = did_you_mean(words[0], SHORT) or f"; known are {', '.join(SHORT)}"
            raise ValueError(f"cron {line!r:.80} is no short form that is known{hint}")
        return SHORT[words[0]]
    if len(words) == 6 and words[0] == "0":
        del words[0]
    if len(words) not in (5, 6):
        raise ValueError(
            f"cron {line!r:.80} has {plural(len(words), 'field')}; it takes five (minute, hour, day of month, month, day of "
            "week), six with the second in front of them, or a short form such as '@daily'"
        )
    return " ".join(words)


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name.

    Raises:
        ValueError: there is none, here.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, available_timezones

    if name != "localtime":  # a machine's own, which another does not have
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # OSError: a folder, such as "Europe"
            pass
    known = available_timezones() - {"localtime"}
    if not known:
        raise ValueError(
            f"tz= is {name!r:.80}, but this machine has no time zones; install the package tzdata (pip install tzdata)"
        )
    near = did_you_mean(name, known) or "; it takes an IANA name such as 'Europe/Paris'"
    raise ValueError(f"tz= is no time zone that is known here: {name!r:.80}{near}")


def _read(fields: str) -> CronSim:
    from cronsim import CronSim, CronSimError

    try:
        return CronSim(fields, _SOME_TIME)
    except (CronSimError, AssertionError):
        pass
    words = ["0", *fields.split()][-6:]
    for place, word in enumerate(words):
        alone: list[Any] = ["*"] * 6
        alone[place] = word
        try:
            CronSim(" ".join(alone), _SOME_TIME)
        except (CronSimError, AssertionError):
            raise ValueError(
                f"cron {fields!r:.80} has no {FIELDS[place]} that can be read: {word!r:.40}; it takes {TAKES[place]}, "
                "and of these lists (1,3), ranges (1-5) and steps (*/2)"
            ) from None
    raise ValueError(f"cron {fields!r:.80} never comes true: there is no such day; give one that there is")
