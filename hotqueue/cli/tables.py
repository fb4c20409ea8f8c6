"""How what was read is printed: a table that fits the terminal, plain columns elsewhere, or one JSON object a line.

What comes from the store is never markup, and moves no cursor: what cannot be printed is shown as an escape. rich is imported on
a terminal alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import click

from hotqueue.monitor.words import ago as ago
from hotqueue.monitor.words import moment as moment
from hotqueue.monitor.words import printable as printable
from hotqueue.monitor.words import size as size
from hotqueue.monitor.words import span as span

WIDEST = 120  # characters of a cell where no terminal says how many there is room for
WIDEST_FIXED = 40  # characters of a cell that is not to shrink, such as an id


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        is_number: goes to the right.
        style: of rich.
        may_shrink: where there is too little room, this one has less of it.
    """

    title: str
    is_number: bool = False
    style: str = ""
    may_shrink: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under titles; nothing where there are none."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if cells:
        click.echo(_rich(columns, cells) if sys.stdout.isatty() else _plain(columns, cells), nl=False)


def _plain(columns: Sequence[Column], rows: list[list[str]]) -> str:
    titles = [column.title.upper() for column in columns]
    lines = [titles, *([cell if len(cell) <= WIDEST else f"{cell[: WIDEST - 1]}…" for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    text = ""
    for line in lines:
        pairs = zip(line, widths, columns, strict=True)
        placed = [cell.rjust(width) if column.is_number else cell.ljust(width) for cell, width, column in pairs]
        text += "  ".join(placed).rstrip() + "\n"
    return text


def _rich(columns: Sequence[Column], rows: list[list[str]]) -> str:
    """Return a table that fits the terminal; columns in which there is nothing are left out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    kept = [n for n in range(len(columns)) if any(row[n] for row in rows)]
    for n in kept:
        column, widest = columns[n], max(len(columns[n].title), *(len(row[n]) for row in rows))
        made.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            style=column.style,
            no_wrap=True,
            overflow="ellipsis",
            min_width=None if column.may_shrink else min(widest, WIDEST_FIXED),
        )
    for row in rows:
        made.add_row(*(Text(row[n]) for n in kept))
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(made)
    return captured.get()


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, a line each; of a value with several lines, each under the other."""
    some = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in some), default=0)
    for name, value in some:
        lines = [printable(line) for line in value.splitlines()] or [""]
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {lines[0]}".rstrip())
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {line}".rstrip())


def json_line(value: Any) -> str:
    """Return a value as one line of JSON that can be printed here."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
    return json.dumps(value, ensure_ascii=not unicode, separators=(",", ":"))
