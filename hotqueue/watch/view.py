"""View: one table of the monitor: what it reads, where the cursor stands, what is marked, how it is sorted. Paints nothing.

`read` runs in the thread that reads, all else in that of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hotqueue.monitor.snapshot import Snapshot
from hotqueue.store.store import Store
from hotqueue.watch.canvas import Line
from hotqueue.watch.columns import Column, Row

Facts = Sequence[Any]  # of rows, that something is done to
Progress = Callable[[int], None]  # told how many more are done


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a key does to rows.

    Attributes:
        label: a word for the line of keys; text: what it does, for the help.
        question: what is asked first; "" for what needs no asking.
        do: does it, in a thread, and returns a sentence that says what was done.
        undo: takes it back, where that can be.
    """

    key: str
    label: str
    text: str
    do: Callable[[Store, Facts, Progress], str]
    question: Callable[[Facts], str] = lambda _facts: ""
    undo: Callable[[Store, Facts, Progress], str] | None = None


class View:
    """A table.

    Attributes:
        name: in the line of views; about: what it shows, for the help.
        every: seconds between two reads, at least.
        is_all: an action is for all that match, however many, and not only for those on the screen.
        changes: counts what makes an answer that is under way useless, such as another filter.
        note: what is to be said beside the rows, such as that there are more.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    columns: ClassVar[tuple[Column, ...]] = ()
    acts: ClassVar[tuple[Act, ...]] = ()
    empty: ClassVar[str] = "nothing is here"
    every: ClassVar[float] = 0.0
    has_all: ClassVar[bool] = False
    filter_hint: ClassVar[str] = "text that a row has"

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.filter = ""
        self.sort_by: int | None = None
        self.is_up = True
        self.index = 0
        self.top = 0
        self.marked: set[str] = set()
        self.is_all = False
        self.changes = 0
        self.note = ""
        self.is_read = False

    # --- for others to say ----------------------------------------------------------------------------------------

    def read(self, store: Store, snapshot: Snapshot) -> list[Row]:
        """Return the rows, in the order that they have by themselves."""
        raise NotImplementedError

    def badge(self, snapshot: Snapshot) -> str:
        """Return what stands beside the name in the line of views."""
        return ""

    def headline(self, snapshot: Snapshot, width: int) -> Line | None:
        """Return the line above the table; None for that of all views."""
        return None

    def open(self, row: Row) -> tuple[str, str] | None:
        """Return where Enter leads: a view and its filter, or ("task", …); None for nowhere."""
        return None

    def check(self, text: str) -> str:
        """Return what is wrong with a filter, in a sentence; "" for nothing."""
        return ""

    def gather(self, store: Store, snapshot: Snapshot, progress: Progress) -> Facts:
        """Return all that match, in the thread of an action."""
        return [row.fact for row in self.rows]

    # --- the rest ---------------------------------------------------------------------------------------------------

    def take(self, rows: Iterable[Row]) -> None:
        """Show these rows from now on; the cursor stays on what it was on."""
        here = self.here
        self.rows = self._sorted(rows)
        self.is_read = True
        keys = {row.key: n for n, row in enumerate(self.rows)}
        self.marked &= keys.keys()
        if here is not None and here.key in keys and self.index:  # whoever is at the top wants to see what is new there
            self.index = keys[here.key]
        self.index = max(0, min(self.index, len(self.rows) - 1))

    def _sorted(self, rows: Iterable[Row]) -> list[Row]:
        found, by = list(rows), self.sort_by
        if by is not None:
            found.sort(key=lambda row: _order(row.values[by]), reverse=not self.is_up)
        return found

    @property
    def here(self) -> Row | None:
        """The row at the cursor."""
        return self.rows[self.index] if 0 <= self.index < len(self.rows) else None

    def sort(self, turn: bool) -> None:
        """Sort by the next column; or, to turn, the other way around."""
        if turn and self.sort_by is not None:
            self.is_up = not self.is_up
        else:
            following = 0 if self.sort_by is None else self.sort_by + 1
            self.sort_by = following if following < len(self.columns) else None
            self.is_up = self.sort_by is None or self.columns[self.sort_by].first_up
        self.take(self.rows)
        if self.sort_by is None:
            self.outdate()  # the order that rows have by themselves is lost

    def set_filter(self, text: str) -> None:
        """Show from now on what meets a filter."""
        self.filter = text
        self.index = self.top = 0
        self.outdate()

    def outdate(self) -> None:
        """Have answers that are under way count for nothing, and the next read come at once."""
        self.unmark()
        self.changes += 1

    def unmark(self) -> None:
        """Mark nothing."""
        self.marked.clear()
        self.is_all = False

    def mark(self) -> None:
        """Mark the row at the cursor, or no more, and go on to the next."""
        self.is_all = False
        if (row := self.here) is not None:
            self.marked ^= {row.key}
            self.index = min(self.index + 1, len(self.rows) - 1)

    def mark_all(self) -> None:
        """Mark all, or nothing more."""
        if self.marked or self.is_all:
            self.unmark()
        else:
            self.marked = {row.key for row in self.rows}
            self.is_all = self.has_all

    def targets(self) -> Facts:
        """Return the facts of what is marked; of the row at the cursor, where nothing is."""
        if self.marked:
            return [row.fact for row in self.rows if row.key in self.marked]
        return [] if self.here is None else [self.here.fact]

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.index = max(0, min(self.index + by, len(self.rows) - 1))


def having(rows: Iterable[Row], text: str) -> list[Row]:
    """Return those rows of which a cell has a text, in any case of letters."""
    sought = text.casefold()
    return [row for row in rows if not sought or any(sought in cell.casefold() for cell, _ in row.cells)]


def _order(value: Any) -> tuple[bool, Any]:
    """Return what a value is sorted by: what is not known comes first."""
    if isinstance(value, str):
        return True, value.casefold()
    return value is not None, 0 if value is None else value
