"""Numbers as people read them in a narrow column, and charts of one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last values as bars, the newest at the right: nothing is a blank, the largest as high as a line."""
    some = list(values)[-width:]
    most = max(some, default=0.0)
    bars = "".join(" " if value <= 0 else _BARS[min(7, int(value / most * 7.999))] for value in some)
    return bars.rjust(width)


def count(number: float) -> str:
    """Return a number in five columns at most: ``9999``, ``12.3k``, ``4.5M``."""
    if abs(number) < 10_000:
        return f"{number:.0f}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            short = number / size
            return f"{short:.0f}{unit}" if short >= 99.95 else f"{short:.1f}{unit}"
    return f"{number:.0f}"


def rate(number: float | None) -> str:
    """Return how many a second: ``0``, ``0.3``, ``12``, ``1.2k``."""
    if number is None:
        return ""
    if number == 0:
        return "0"
    if number < 0.05:
        return "<0.1"
    return f"{number:.1f}" if number < 9.95 else count(number)


def seconds(value: float | None) -> str:
    """Return a duration in five columns at most: ``340µs``, ``12ms``, ``1.2s``, ``45s``, ``12m``, ``3h``, ``4d``."""
    if value is None:
        return ""
    if value < 0.0009995:
        return "0s" if value <= 0 else f"{value * 1e6:.0f}µs" if value >= 5e-7 else "<1µs"
    if value < 0.9995:
        return f"{value * 1000:.0f}ms"
    if value < 9.95:
        return f"{value:.1f}s"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if value >= 2 * size:
            return f"{value / size:.0f}{unit}"
    return f"{value:.0f}s"


def percent(part: float, whole: float) -> str:
    """Return a share: ``0``, ``0.2%``, ``12%``; "" of nothing."""
    if not whole:
        return ""
    share = 100 * part / whole
    return "0" if not part else "<0.1%" if share < 0.05 else f"{share:.1f}%" if share < 9.95 else f"{share:.0f}%"
