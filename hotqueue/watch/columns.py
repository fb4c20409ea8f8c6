"""Columns and rows: what a table is made of, and how it fits into as many columns of a terminal as there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hotqueue.watch.canvas import Line, Piece, fitted

NARROWEST = 4  # characters of a column that gives way
MARK = "●"


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        width: how wide it is; where it may stretch, at least.
        stretch: what part of the room that is left it takes.
        drop: columns with a higher number go first where there is no room; 0 stays.
    """

    title: str
    width: int
    is_number: bool = False
    stretch: int = 0
    drop: int = 0

    @property
    def first_up(self) -> bool:
        """True where it is sorted from the smallest up at first, as names are; numbers from the largest down."""
        return not self.is_number


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Attributes:
        key: what it is about; the cursor and marks go by it.
        cells: a text and a style for each column.
        values: what it is sorted by, for each column.
        fact: what it was made of.
    """

    key: str
    cells: tuple[Piece, ...]
    values: tuple[Any, ...]
    fact: Any = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns are shown, and how wide each is."""

    columns: tuple[Column, ...]
    numbers: tuple[int, ...]
    widths: tuple[int, ...]

    def head(self, sorted_by: int | None, is_up: bool) -> Line:
        """Return the titles."""
        pieces: list[Piece] = [("  ", "head")]
        for number, width in zip(self.numbers, self.widths, strict=True):
            column = self.columns[number]
            arrow = ("▲" if is_up else "▼") if number == sorted_by else ""
            title = fitted(column.title + arrow, width, column.is_number)
            pieces.append((title, "sorted" if arrow else "head"))
            pieces.append((" ", "head"))
        return tuple(pieces)

    def line(self, row: Row, is_marked: bool, is_here: bool) -> Line:
        """Return a row."""
        pieces: list[Piece] = [(f"{MARK} " if is_marked else "  ", "marked")]
        for number, width in zip(self.numbers, self.widths, strict=True):
            text, style = row.cells[number]
            pieces += [(fitted(text, width, self.columns[number].is_number), "marked" if is_marked else style), (" ", "")]
        if is_here:
            return (("".join(text for text, _ in pieces), "cursor"),)
        return tuple(pieces)


def layout(columns: Sequence[Column], width: int) -> Layout:
    """Return the columns that fit into a width: those that are needed least left out, and the others as narrow as must be."""
    kept = list(range(len(columns)))
    while (need := 2 + sum(columns[n].width + 1 for n in kept)) > width and any(columns[n].drop for n in kept):
        kept.remove(max(kept, key=lambda n: columns[n].drop))
    parts = sum(columns[n].stretch for n in kept)
    left = max(0, width - need)
    widths = [columns[n].width + (left * columns[n].stretch // parts if parts else 0) for n in kept]
    if (lacking := need - 1 - width) > 0:  # the blank behind the last one may be cut off
        widest = max(range(len(kept)), key=lambda at: columns[kept[at]].stretch)
        widths[widest] = max(NARROWEST, widths[widest] - lacking)
    return Layout(tuple(columns), tuple(kept), tuple(widths))
