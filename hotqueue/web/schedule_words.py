"""When a schedule fires, in words, of what most are like; of others what they say themselves. Pure."""

from __future__ import annotations

import re

DAYS = {"0": "Sundays", "1": "Mondays", "2": "Tuesdays", "3": "Wednesdays", "4": "Thursdays", "5": "Fridays", "6": "Saturdays"}
DAYS |= {"7": "Sundays", "1-5": "weekdays", "mon-fri": "weekdays", "6,0": "weekends", "0,6": "weekends", "sat,sun": "weekends"}
DAYS |= {day[:3].casefold(): day for day in list(DAYS.values())[:7]}
_NUMBER = re.compile(r"\d{1,2}")
_STEP = re.compile(r"\*/(\d{1,2})")
_EVERY = re.compile(r"every ([\d.e+]+) s")
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def in_words(when: str) -> str:
    """Return what people say for ``0 3 * * * Europe/Paris`` or ``every 90 s``; "" where that would not be shorter."""
    if found := _EVERY.fullmatch(when):
        return _span(float(found[1]))
    fields, zone = when.split()[:5], " ".join(when.split()[5:])
    if len(fields) != 5:
        return ""
    minute, hour, day, month, weekday = ("*" if each == "*/1" else each.casefold() for each in fields)
    at = _at(minute, hour)
    if not at or month != "*":
        return ""
    on = _on(day, weekday, is_time=at.startswith("at "))
    return f"{on}{at}{f' ({zone})' * bool(zone and zone != 'UTC')}".strip() if on is not None else ""


def _span(seconds: float) -> str:
    size, unit = next((each for each in _UNITS if seconds >= each[0] and seconds % each[0] == 0), (1, "second"))
    number = seconds / size
    return f"every {unit}" if number == 1 else f"every {number:g} {unit}s"


def _at(minute: str, hour: str) -> str:
    """Return at which times of a day; "" for what is not said in a few words."""
    if _NUMBER.fullmatch(minute) and _NUMBER.fullmatch(hour):
        return f"at {int(hour):02}:{int(minute):02}"
    if _NUMBER.fullmatch(minute) and hour == "*":
        return f"every hour at :{int(minute):02}"
    within = re.fullmatch(r"(\d{1,2})-(\d{1,2})", hour)
    during = f", from {int(within[1]):02}:00 to {int(within[2]):02}:59" if within else ""
    if hour == "*" or within:
        if minute == "*":
            return f"every minute{during}"
        if step := _STEP.fullmatch(minute):
            return f"every {int(step[1])} minutes{during}"
    if _NUMBER.fullmatch(minute) and (step := _STEP.fullmatch(hour)):
        return f"every {int(step[1])} hours at :{int(minute):02}"
    return ""


def _on(day: str, weekday: str, is_time: bool) -> str | None:
    """Return on which days, in front of the time; None for what is not said in a few words."""
    if day == "*" and weekday == "*":
        return "every day " if is_time else ""
    if day == "*" and weekday in DAYS:
        return f"{DAYS[weekday]} "
    if _NUMBER.fullmatch(day) and weekday == "*":
        return f"on day {int(day)} of each month "
    return None
