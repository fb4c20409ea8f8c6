"""Ages, spans, moments, sizes and texts as people read them in a terminal. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def printable(text: str) -> str:
    """Return a text with escapes in the place of what moves a cursor, rings a bell, or turns lines around."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def ago(moment: datetime | None) -> str:
    """Return how long ago, or in how long, something is: ``12s``, ``3m``, ``in 2h``."""
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"in {span(-seconds)}" if seconds < -0.5 else span(max(0.0, seconds))


def span(seconds: float) -> str:
    """Return a duration in the largest unit that says enough."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def moment(value: datetime | None) -> str:
    """Return an instant as people read it."""
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def size(count: int | None) -> str:
    """Return a number of bytes as people read it."""
    if count is None:
        return ""
    return f"{count / 1e6:.0f} MB" if count >= 10_000_000 else f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} B"
