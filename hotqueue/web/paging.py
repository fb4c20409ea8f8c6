"""Lists that are longer than a page: which part of them is shown, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hotqueue.web.page import View

T = TypeVar("T")

ROWS = 50  # of a page


@dataclass(frozen=True)
class Part(Generic[T]):
    """A page of a list.

    Attributes:
        number: which page, from 1.
        pages: how many there are.
        count: how many rows there are in all.
    """

    rows: Sequence[T]
    number: int
    pages: int
    count: int


@dataclass(frozen=True)
class Order:
    """How a list is sorted.

    Attributes:
        by: the name of a column.
        is_up: the smallest first.
    """

    by: str
    is_up: bool

    def mark(self, column: str) -> str:
        """Return what `aria-sort` says of a column."""
        return ("ascending" if self.is_up else "descending") if column == self.by else "none"

    def query(self, column: str) -> str:
        """Return what the address says when somebody clicks at a column."""
        is_up = not self.is_up if column == self.by else column == "name"
        return f"{'' if is_up else '-'}{column}"


def paged(view: View, rows: Sequence[T], most: int = ROWS) -> Part[T]:
    """Return the page of a list that the address asks for."""
    asked = view.query.get("page", "1")
    pages = max(1, -(-len(rows) // most))
    number = min(max(1, int(asked) if asked.isdecimal() and len(asked) < 8 else 1), pages)
    return Part(rows[(number - 1) * most : number * most], number, pages, len(rows))


def sorted_by(
    view: View, rows: Iterable[T], columns: Mapping[str, Callable[[T], Any]], usual: str, last: str = "name"
) -> tuple[list[T], Order]:
    """Return rows in the order that the address asks for: ``sort=name``, ``sort=-dead``; and which that is.

    Args:
        columns: what it may be sorted by.
        usual: by what, the largest first, where the address does not say.
        last: what decides among equal ones.
    """
    asked = view.query.get("sort", "")
    by = asked.removeprefix("-")
    order = Order(by, not asked.startswith("-")) if by in columns else Order(usual, usual == last)
    found = sorted(sorted(rows, key=columns[last]), key=columns[order.by], reverse=not order.is_up)
    return found, order
