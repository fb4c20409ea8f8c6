"""Charts: numbers → where lines and columns are, and what stands at the axes; templates/charts.html draws them. Pure.

The plot is as wide as there are columns and 100 high, and is stretched over the room there is; what is text stands beside it in
HTML, so that it is as large on a phone as elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HIGH = 100  # of a plot, in its own units


@dataclass(frozen=True)
class Line:
    """One row of numbers.

    Attributes:
        kind: names its colour, in style.css: "ok", "bad", "note", "one", "two", "three".
        values: None where there is none.
    """

    name: str
    kind: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: what it shows.
        says: what a reader who does not see it is told.
        labels: what each column is: "12:05".
        lines: its numbers.
        top: the number at its upper edge.
        ticks: numbers at the left axis, from the top.
        moments: some of the labels, for the lower axis, evenly spaced.
        shown: writes a number with its unit.
        marks: columns at which something happened, and what.
        zone: of the times that its columns are; "" where they are none.
    """

    title: str
    says: str
    labels: Sequence[str]
    lines: Sequence[Line]
    top: float
    ticks: Sequence[float]
    moments: Sequence[str]
    is_stacked: bool
    shown: Callable[[float | None], str]
    marks: Sequence[tuple[int, str]] = field(default_factory=tuple)
    zone: str = ""

    @property
    def wide(self) -> int:
        """How many columns there are."""
        return len(self.labels)

    def tip(self, column: int) -> str:
        """Return what a column holds, a line each."""
        said = [mark for at, mark in self.marks if at == column]
        return "\n".join(
            [
                f"{self.labels[column]} {self.zone}".rstrip(),
                *(f"{line.name}\t{self.shown(line.values[column])}" for line in self.lines),
                *said,
            ]
        )

    def tips(self) -> str:
        """Return what all columns hold, for the script that shows it."""
        return json.dumps([self.tip(column) for column in range(self.wide)], ensure_ascii=False, separators=(",", ":"))

    def is_told(self, column: int) -> bool:
        """Tell whether a column has anything in it."""
        return any(line.values[column] for line in self.lines)

    def columns(self) -> list[tuple[str, str]]:
        """Return a path for each row of numbers, of stacked columns: its kind, and the path."""
        below = [0.0] * self.wide
        found = []
        for line in self.lines:
            path = []
            for n, value in enumerate(line.values):
                if not value:
                    continue
                low, high = self._y(below[n]), self._y(below[n] + value)
                path.append(f"M{n + 0.1:g} {low:g}V{high:g}h.8V{low:g}z")
                below[n] += value
            found.append((line.kind, "".join(path)))
        return found

    def paths(self) -> list[tuple[str, str]]:
        """Return a path for each row of numbers, of lines: its kind, and the path."""
        found = []
        for line in self.lines:
            path, is_on = [], False
            for n, value in enumerate(line.values):
                if value is not None:
                    path.append(f"{'L' if is_on else 'M'}{n + 0.5:g} {self._y(value):g}")
                    if not is_on and (n + 1 == len(line.values) or line.values[n + 1] is None):
                        path.append("h.001")  # one alone is a point
                is_on = value is not None
            found.append((line.kind, "".join(path)))
        return found

    def _y(self, value: float) -> float:
        return round(HIGH - HIGH * min(value, self.top) / self.top, 2)


def chart(
    title: str,
    labels: Sequence[str],
    lines: Sequence[Line],
    shown: Callable[[float | None], str],
    *,
    is_stacked: bool = False,
    marks: Sequence[tuple[int, str]] = (),
    moments: int = 5,
    zone: str = "",
) -> Chart:
    """Return a chart.

    Args:
        is_stacked: columns, one row of numbers upon the other; else a line each.
        moments: how many of the labels stand at the lower axis.
        zone: of the times that the labels are.
    """
    columns = zip(*(line.values for line in lines), strict=True)
    tops = [sum(value or 0 for value in column) if is_stacked else max((v or 0 for v in column), default=0) for column in columns]
    top = round_up(max(tops, default=0))
    ticks = [top * n / 4 for n in range(4, -1, -1)]
    last = len(labels) - 1
    some = [labels[round(last * n / (moments - 1))] for n in range(moments)] if labels else []
    says = "; ".join(f"{line.name}: {_in_words(line.values, shown)}" for line in lines)
    return Chart(title, f"{title}. {says}.", labels, lines, top, ticks, some, is_stacked, shown, marks, zone)


def _in_words(values: Sequence[float | None], shown: Callable[[float | None], str]) -> str:
    there = [value for value in values if value is not None]
    if not there or not any(there):
        return "nothing"
    return f"last {shown(there[-1])}, at most {shown(max(there))}"


def round_up(value: float) -> float:
    """Return a number that is not smaller and is easy to read, as are its quarters."""
    if value <= 0:
        return 4.0
    unit = 10.0 ** math.floor(math.log10(value))
    for step in (1, 2, 4, 8, 10):
        if value <= step * unit:
            return max(step * unit, 4.0) if value >= 1 and float(value).is_integer() and step * unit < 4 else step * unit
    return 10 * unit


def spark(values: Sequence[float | None]) -> str:
    """Return the path of a small line without axes: as wide as there are values, 20 high."""
    top = max((value or 0 for value in values), default=0) or 1
    return "".join(f"{'L' if n else 'M'}{n} {20 - 19 * (value or 0) / top:.1f}" for n, value in enumerate(values))
