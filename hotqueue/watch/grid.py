"""Grid: the table on the screen: titles, and as many rows of a view as there is room for, with the cursor among them."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from hotqueue.watch.canvas import Canvas, Line, fitted
from hotqueue.watch.columns import Layout, layout
from hotqueue.watch.keys import TABLE_BINDINGS
from hotqueue.watch.view import View


class Grid(Canvas, can_focus=True):
    """The table of the view that is shown."""

    BINDINGS: ClassVar[list[BindingType]] = TABLE_BINDINGS

    class Changed(Message):
        """The cursor moved, or marks or the order changed."""

    def __init__(self, view: View, *, id: str) -> None:
        super().__init__(id=id)
        self.view = view
        self._layout: Layout | None = None
        self._laid_out: tuple[object, int] = (None, 0)

    @property
    def page(self) -> int:
        """How many rows there is room for."""
        return max(1, self.size.height - 1)

    def show(self) -> None:
        """Paint what changed of the view."""
        view, width = self.view, self.size.width
        if not width:
            return
        found = self._fitting(width)
        view.top = max(0, min(view.top, view.index, len(view.rows) - self.page))
        view.top = max(view.top, view.index - self.page + 1)
        shown = view.rows[view.top : view.top + self.page]
        lines: list[Line] = [found.head(view.sort_by, view.is_up)]
        lines += [found.line(row, row.key in view.marked, view.top + n == view.index) for n, row in enumerate(shown)]
        if not shown:
            text = view.empty if view.is_read else "looking …"
            lines += [(), ((fitted(f"  {text}", width), "dim"),)]
        self.paint(lines)

    def _fitting(self, width: int) -> Layout:
        if self._layout is None or self._laid_out != (self.view.columns, width):
            self._layout, self._laid_out = layout(self.view.columns, width), (self.view.columns, width)
        return self._layout

    def on_resize(self) -> None:
        """Lay the columns out anew."""
        self.show()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.view.move(by)
        self._changed()

    def action_page(self, by: int) -> None:
        """Move it by a page."""
        self.action_move(by * self.page)

    def action_mark(self) -> None:
        """Mark the row at the cursor."""
        self.view.mark()
        self._changed()

    def action_mark_all(self) -> None:
        """Mark all rows."""
        self.view.mark_all()
        self._changed()

    def action_sort(self, turn: bool) -> None:
        """Sort by the next column, or the other way around."""
        self.view.sort(turn)
        self._changed()

    def _changed(self) -> None:
        self.show()
        self.post_message(self.Changed())
