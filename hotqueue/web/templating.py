"""Templates: jinja2 that escapes everything, and the words and numbers that all pages write in one way. Asks no store."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jinja2

from hotqueue.plurals import word
from hotqueue.web import charts
from hotqueue.web.page import View

STATIC = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "charts.js": "text/javascript",
    "filter.js": "text/javascript",
    "select.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@functools.lru_cache(maxsize=len(STATIC))
def static(name: str) -> tuple[bytes, str]:
    """Return a file that pages link to, and its type."""
    return files("hotqueue.web").joinpath("static", name).read_bytes(), STATIC[name]


@functools.lru_cache(maxsize=len(STATIC))
def version_of(name: str) -> str:
    """Return what stands behind a file's address, so that browsers may keep it for good."""
    return hashlib.sha256(static(name)[0]).hexdigest()[:12]


@functools.lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return what reads templates: whatever they are given is text, never markup."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("hotqueue.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number,
        size=size,
        span=span,
        ago=ago,
        age=age,
        until=until,
        moment=moment,
        iso=iso,
        plural=plural,
        short=short,
        ident=ident,
        percent=percent,
    )
    made.globals.update(charts=charts)
    return made


def render(template: str, view: View, **context: Any) -> str:
    """Return a page."""

    def static_url(name: str) -> str:
        return view.url(f"/static/{name}", v=version_of(name))

    named: Mapping[str, Any] = {
        "view": view,
        "url": view.url,
        "here": view.here,
        "may": view.may,
        "static": static_url,
    }
    return environment().get_template(template).render(**named, **context)


def number(value: float | None) -> str:
    """Return a number with thin spaces between thousands; "–" for none."""
    if value is None:
        return "–"
    if isinstance(value, float) and value != int(value):
        return f"{value:,.1f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if value >= 10 else f"{value:.2g}"
    return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(part: float | None) -> str:
    """Return a part of a whole."""
    if part is None:
        return "–"
    return f"{100 * part:.0f} %" if part >= 0.1 or part == 0 else f"{100 * part:.1f} %"


def size(value: float | None) -> str:
    """Return bytes as people say them."""
    if value is None:
        return "–"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def span(seconds: float | None) -> str:
    """Return seconds as people say them: 340 µs, 3 ms, 1.2 s, 1 min 15 s, 12 min, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return "0" if seconds <= 0 else f"{1000 * seconds:.0f} ms" if seconds >= 0.0009995 else f"{1e6 * seconds:.0f} µs"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != int(seconds) else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"


def ago(at: datetime | None) -> str:
    """Return how long ago something was."""
    said = age(at)
    return "now" if said == "0" else said if at is None else f"{said} ago"


def age(at: datetime | None) -> str:
    """Return for how long something has been."""
    return "–" if at is None else _roughly((datetime.now(UTC) - at).total_seconds())


def until(at: datetime | None) -> str:
    """Return in how long something is."""
    if at is None:
        return "–"
    seconds = (at - datetime.now(UTC)).total_seconds()
    return f"in {_roughly(seconds)}" if seconds >= 1 else "now"


def _roughly(seconds: float) -> str:
    whole = max(0, int(seconds))
    return span(float(whole if whole < 60 else whole - whole % 60))  # from a minute on, no seconds


def moment(at: datetime | None) -> str:
    """Return an instant, in UTC, as people read it."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def iso(at: datetime | None) -> str:
    """Return an instant for programs."""
    return "" if at is None else at.isoformat(timespec="milliseconds")


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its word."""
    return f"{number(count)} {word(count, one, many)}"


def ident(text: str) -> str:
    """Return an id for an element, of a text that may have anything in it."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def short(text: str, most: int = 80) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
